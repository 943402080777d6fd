import { milliseconds } from '#sdk';
import { extraHeaders, reasoningTags } from '#sdk/upstream';
import { z } from '#zod';
import { isBaseUrl } from './base-url.js';

/** What the agent itself writes; keys of the config are there for the rest. */
const own = ['messages', 'model', 'stream', 'stream_options'];

export const config = z.strictObject({
  /** Name under which it is registered; that of the instance, without `agent-`, when absent. */
  name: z.string().min(1).optional(),
  /** Up to and with `/v1`; a query goes along with every request, and is shown to nobody. */
  baseUrl: z
    .string()
    .refine(isBaseUrl, 'expected an http or https URL without a user or password')
    .default('https://api.openai.com/v1'),
  /** Sent as a bearer token, and shown to nobody; none is sent when empty. */
  apiKey: z
    .string()
    .regex(/^[!-~]*$/, 'expected visible ASCII')
    .default(''),
  /** The model that answers when a request names none; the first that the server lists when empty. */
  model: z.string().default(''),
  /** More headers for each request, such as `api-key`. */
  headers: extraHeaders.default({}),
  /** More fields for the body of each chat; what a client asks for comes first. */
  body: z
    .record(z.string().min(1), z.unknown())
    .refine((body) => own.every((name) => !(name in body)), `expected none of ${own.join(', ')}`)
    .default({}),
  /** `false`: answers come in one piece, all of it within `firstTokenTimeoutMs`. */
  stream: z.boolean().default(true),
  /** `false`: a stream is not asked for its usage, for servers that do not know `stream_options`. */
  streamOptions: z.boolean().default(true),
  /** The field that limits an answer; `auto` goes by the host, and by what the server refuses. */
  maxTokensField: z.enum(['auto', 'max_tokens', 'max_completion_tokens']).default('auto'),
  /** `pass`: images by their http(s) URL go to the model server, which fetches them. This server fetches none. */
  imageUrls: z.enum(['refuse', 'pass']).default('refuse'),
  /** Whether its models write what they think into their answer, between `<think>` and `</think>`; or the names of such tags. */
  reasoningTags: reasoningTags.default(false),
  connectTimeoutMs: milliseconds.default(3000),
  /** Until the first token. */
  firstTokenTimeoutMs: milliseconds.default(120_000),
  /** Between two tokens. */
  tokenTimeoutMs: milliseconds.default(60_000),
  /** One event of an answer, and all tool calls of one. An answer that is not streamed may have 4 MB. */
  eventLimitBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
});

export type Config = z.infer<typeof config>;
