import { embedInputLimit } from '#kernel';
import { integer, number } from '#sdk/dialect';
import { z } from '#zod';

// Every list is bounded, and its length is checked before its items: reporting errors costs more than valid input.
const limits = { messages: 2048, images: 128, toolCalls: 128, tools: 256, stops: 64 } as const;

// Unknown fields are ignored, as Ollama ignores them.

const fields = z.record(z.string(), z.unknown());
const image = z.string().describe('Base64, without the head of a `data:` URL, which is accepted as well');
const called = z.looseObject({
  name: z.string().min(1),
  arguments: z.union([fields, z.string()]).nullish(),
});

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images: z.array(image).max(limits.images).nullish(),
  tool_calls: z
    .array(z.looseObject({ id: z.string().nullish(), function: called }))
    .max(limits.toolCalls)
    .nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});

const tool = z.looseObject({
  type: z.literal('function').nullish(),
  function: z.looseObject({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: fields.nullish(),
  }),
});

/** `options` of a request; those that are not named here are for Ollama alone. */
const options = z.looseObject({
  num_predict: integer.nullish().describe('Less than 1: no limit'),
  temperature: number.nullish(),
  top_p: number.nullish(),
  seed: integer.nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(limits.stops)]).nullish(),
  presence_penalty: number.nullish(),
  frequency_penalty: number.nullish(),
  top_k: number.nullish(),
  min_p: number.nullish(),
  typical_p: number.nullish(),
  repeat_penalty: number.nullish(),
});

const keepAlive = z
  .union([z.number(), z.string()])
  .nullish()
  .describe('For agents on an Ollama server: how long the model stays loaded');
const modelName = z
  .string()
  .max(256)
  .nullish()
  .describe('An agent, or `agent/model`, as listed by `GET /api/tags`; with or without `:latest`');
const named = { model: modelName, name: modelName.describe('Former name of `model`') };

const thinkWords = ['', 'low', 'medium', 'high', 'max'] as const;
const answered = {
  ...named,
  stream: z.boolean().nullish().describe('Lines of JSON, which is the default, or one object'),
  format: z.union([z.enum(['', 'json']), fields]).nullish(),
  think: z.union([z.boolean(), z.enum(thinkWords)]).nullish(),
  options: options.nullish(),
  keep_alive: keepAlive,
  truncate: z
    .boolean()
    .nullish()
    .describe('False: messages beyond the context window are refused; else the oldest are left out'),
};

/** The body of `POST /api/chat`. */
export const chatBody = z.looseObject({
  ...answered,
  messages: z.array(message).max(limits.messages).nullish(),
  tools: z.array(tool).max(limits.tools).nullish(),
});

/** The body of `POST /api/generate`. */
export const generateBody = z.looseObject({
  ...answered,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  images: z.array(image).max(limits.images).nullish(),
  suffix: z.string().nullish().describe('Refused: no agent fills in the middle'),
  raw: z.boolean().nullish().describe('True is refused: agents take messages'),
  template: z.string().nullish().describe('Left out, with a note in `x-waggle-warning`'),
  context: z.unknown().optional().describe('Left out, with a note in `x-waggle-warning`'),
});

const embedded = { ...named, options: options.nullish(), keep_alive: keepAlive };

/** The body of `POST /api/embed`. */
export const embedBody = z.looseObject({
  ...embedded,
  input: z.union([z.string(), z.array(z.string()).max(embedInputLimit)]).nullish(),
  truncate: z.boolean().nullish(),
  dimensions: z.int().min(0).nullish(),
});

/** The body of `POST /api/embeddings`. */
export const embeddingsBody = z.looseObject({ ...embedded, prompt: z.string().nullish() });

/** The body of `POST /api/show`. */
export const showBody = z.looseObject(named);

export type ChatBody = z.output<typeof chatBody>;
export type GenerateBody = z.output<typeof generateBody>;
export type EmbedBody = z.output<typeof embedBody>;
/** Fields of both requests for an answer. */
export type AnsweredBody = Pick<ChatBody, keyof typeof answered>;
