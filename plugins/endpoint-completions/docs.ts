import { type RouteDocs, traceHeaders } from '#kernel';
import { answerErrors, openAiErrorBody as errorObject, runHeaders } from '#sdk/dialect';
import { z } from '#zod';
import { chatBody, textBody } from './body.js';

/** Absent if the agent does not report it. */
const usage = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  total_tokens: z.number(),
  prompt_tokens_details: z.object({ cached_tokens: z.number() }).exactOptional(),
  completion_tokens_details: z.object({ reasoning_tokens: z.number() }).exactOptional(),
});
const finishReason = z.enum(['stop', 'length', 'tool_calls', 'content_filter']);
const reasoning = z
  .string()
  .describe('Reasoning of the model; named `reasoning` if so configured')
  .exactOptional();
const toolCall = z
  .looseObject({
    id: z.string(),
    type: z.literal('function'),
    function: z.object({
      name: z.string(),
      arguments: z.string().describe('The JSON of the model, unchanged'),
    }),
  })
  .describe('Other fields from the model server, such as `extra_content`, are included: send them back');
const toolCallPart = z.looseObject({
  index: z.int(),
  id: z.string().describe('Only in the first part of a call').exactOptional(),
  type: z.literal('function').exactOptional(),
  function: z.object({
    name: z.string().exactOptional(),
    arguments: z.string().describe('The next part of the JSON'),
  }),
});
const head = { id: z.string(), created: z.int().describe('Unix seconds'), model: z.string() };

const completion = (object: string, choice: Readonly<Record<string, z.ZodType>>) =>
  z.object({
    ...head,
    object: z.literal(object),
    choices: z.array(z.object({ index: z.literal(0), ...choice })),
    usage: usage.exactOptional(),
  });

const tokenLogprob = z.looseObject({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number()).nullable(),
});
const logprobs = z
  .object({
    content: z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) })),
    refusal: z.null(),
  })
  .describe('Of each token of the text, where they were asked for');

const chatCompletion = completion('chat.completion', {
  message: z.object({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    refusal: z.null(),
    annotations: z.array(z.unknown()),
    reasoning_content: reasoning,
    reasoning,
    tool_calls: z.array(toolCall).exactOptional(),
  }),
  logprobs: logprobs.nullable(),
  finish_reason: finishReason,
});

const chatChunk = completion('chat.completion.chunk', {
  delta: z.object({
    role: z.literal('assistant').exactOptional(),
    content: z.string().exactOptional(),
    reasoning_content: reasoning,
    reasoning,
    tool_calls: z.array(toolCallPart).exactOptional(),
  }),
  logprobs: logprobs.exactOptional(),
  finish_reason: finishReason.nullable(),
});

const textCompletion = completion('text_completion', {
  text: z.string(),
  logprobs: z.null(),
  finish_reason: finishReason.nullable(),
});

const doneText = z.literal('[DONE]');
const failed = { description: 'The agent failed', content: { 'application/json': errorObject } };

/** `POST /v1/chat/completions` */
export const chatDocs: RouteDocs = runDocs(
  "Create a chat completion, as in OpenAI's API; `stream` sends chunks",
  chatBody,
  chatCompletion,
  chatChunk,
);

/** `POST /v1/completions` */
export const textDocs: RouteDocs = runDocs(
  "Complete a text, as in OpenAI's legacy API",
  textBody,
  textCompletion,
  textCompletion,
);

function runDocs(summary: string, body: z.ZodType, whole: z.ZodType, chunk: z.ZodType): RouteDocs {
  return {
    summary,
    headers: runHeaders.extend(traceHeaders.shape),
    body,
    responses: {
      200: {
        description:
          'The answer. `X-Stream-Id` identifies its stream, which `/chat/stream/{stream_id}` resumes and cancels. An event ' +
          'stream ends with `[DONE]`, or with an error.',
        content: {
          'application/json': whole,
          'text/event-stream': z.union([chunk, errorObject, doneText]),
        },
      },
      429: { description: "The model server's rate limit", content: failed.content },
      500: failed,
    },
    error: errorObject,
    errors: answerErrors,
  };
}
