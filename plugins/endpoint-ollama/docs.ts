import { type ClientErrorCode, type RouteDocs, traceHeaders } from '#kernel';
import { agentErrors, answerErrors, runHeaders } from '#sdk/dialect';
import { z } from '#zod';
import { chatBody, embedBody, embeddingsBody, generateBody, showBody } from './body.js';
import { errorObject as error } from './errors.js';
import { running, shown, tags, versions } from './model-object.js';

const calls = z
  .array(
    z.object({
      id: z.string(),
      function: z.object({
        index: z.int(),
        name: z.string(),
        arguments: z.record(z.string(), z.unknown()).describe('As the model wrote it, digit for digit'),
      }),
    }),
  )
  .exactOptional();
const thinking = z.string().exactOptional();
const nanoseconds = z.int().min(0).exactOptional();
const head = { model: z.string(), created_at: z.string() };
const end = {
  done: z.boolean(),
  done_reason: z
    .string()
    .describe('`stop`, `length`, `load`, `unload` or a reason of the model')
    .exactOptional(),
  total_duration: nanoseconds.describe('Nanoseconds since the request was accepted'),
  prompt_eval_count: z.int().exactOptional(),
  prompt_eval_duration: nanoseconds.describe('Nanoseconds from the call of the agent to its first token'),
  eval_count: z.int().exactOptional(),
  eval_duration: nanoseconds.describe('Nanoseconds from the first token to the end'),
};
const chatLine = z.object({
  ...head,
  message: z.object({ role: z.literal('assistant'), content: z.string(), thinking, tool_calls: calls }),
  ...end,
});
const generateLine = z.object({ ...head, response: z.string(), thinking, tool_calls: calls, ...end });
const vector = z.array(z.number());

const failed = { description: 'The agent failed', content: { 'application/json': error } };

/** Documentation by path. */
export const docs = {
  '/api/version': read('The version of Ollama whose API this is', versions),
  '/api/tags': read("List the agents and their models as models of Ollama's API", tags, [
    'DEADLINE_EXCEEDED',
  ]),
  '/api/ps': read('List loaded models: none', running),
  '/api/show': {
    ...read('Describe one model', shown, ['AGENT_UNKNOWN', 'DEADLINE_EXCEEDED']),
    body: showBody,
  },
  '/api/chat': answered("Answer a conversation, as in Ollama's API", chatBody, chatLine),
  '/api/generate': answered("Answer a prompt, as in Ollama's API", generateBody, generateLine),
  '/api/embed': embedded(
    embedBody,
    z.object({
      model: z.string(),
      embeddings: z.array(vector),
      total_duration: nanoseconds,
      prompt_eval_count: z.int().exactOptional(),
    }),
  ),
  '/api/embeddings': embedded(embeddingsBody, z.object({ embedding: vector })),
} satisfies Readonly<Record<string, RouteDocs>>;

function read(summary: string, body: z.ZodType, errors: readonly ClientErrorCode[] = []): RouteDocs {
  return {
    summary,
    responses: { 200: { description: 'The answer', content: { 'application/json': body } } },
    error,
    errors,
  };
}

function answered(summary: string, body: z.ZodType, line: z.ZodType): RouteDocs {
  return {
    summary,
    headers: runHeaders.extend(traceHeaders.shape),
    body,
    responses: {
      200: {
        description: 'The answer. Lines end with one that is `done`, or with an error.',
        content: { 'application/x-ndjson': z.union([line, error]), 'application/json': line },
      },
      429: { description: "The model server's rate limit", content: failed.content },
      500: failed,
    },
    error,
    errors: answerErrors,
  };
}

function embedded(body: z.ZodType, answer: z.ZodType): RouteDocs {
  return {
    summary: "Turn texts into vectors, as in Ollama's API",
    headers: traceHeaders,
    body,
    responses: {
      200: { description: 'The vectors', content: { 'application/json': answer } },
      429: { description: "The model server's rate limit", content: failed.content },
      500: failed,
    },
    error,
    errors: agentErrors,
  };
}
