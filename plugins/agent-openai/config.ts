import { milliseconds } from '#sdk';
import { extraHeaders, reasoningTags, upstreamWay } from '#sdk/upstream';
import { z } from '#zod';
import { isBaseUrl } from './base-url.js';

/** Fields that the agent itself sets. */
const own = ['messages', 'model', 'stream', 'stream_options'];

export const config = z.strictObject({
  /** Name under which it is registered; by default that of the instance, without `agent-`. */
  name: z.string().min(1).optional(),
  /** URL up to and including `/v1`; its query is sent with every request and kept secret. */
  baseUrl: z
    .string()
    .refine(isBaseUrl, 'expected an http or https URL without a user or password')
    .default('https://api.openai.com/v1'),
  /** Sent as a bearer token and kept secret; none is sent when empty. */
  apiKey: z
    .string()
    .regex(/^[!-~]*$/, 'expected visible ASCII')
    .default(''),
  /** The default model; when empty, the first that the server lists. */
  model: z.string().default(''),
  /** The context window in tokens, the answer included, where the server does not tell it, or more than is wanted. */
  contextTokens: z.int().min(256).optional(),
  /** Additional headers for each request, such as `api-key`. */
  headers: extraHeaders.default({}),
  /** Additional fields for the body of each chat; options of a request take precedence. */
  body: z
    .record(z.string().min(1), z.unknown())
    .refine((body) => own.every((name) => !(name in body)), `expected none of ${own.join(', ')}`)
    .default({}),
  /** `false`: answers are not streamed; the whole answer must arrive within `firstTokenTimeoutMs`. */
  stream: z.boolean().default(true),
  /** `false`: streams are requested without usage, for servers that do not support `stream_options`. */
  streamOptions: z.boolean().default(true),
  /** The field that limits an answer; `auto` goes by the host and adapts when the server refuses the field. */
  maxTokensField: z.enum(['auto', 'max_tokens', 'max_completion_tokens']).default('auto'),
  /** `pass`: http(s) URLs of images are passed to the model server, which fetches them. This server fetches none. */
  imageUrls: z.enum(['refuse', 'pass']).default('refuse'),
  /** Whether its models write their thinking into the answer, between `<think>` and `</think>`; or the names of such tags. */
  reasoningTags: reasoningTags.default(false),
  /** `auto`: plain HTTP is read from the socket itself, which costs less; `node`: everything goes through Node's HTTP client. */
  upstream: upstreamWay.default('auto'),
  /** Until the connection is made. */
  connectTimeoutMs: milliseconds.default(3000),
  /** Until the first token. */
  firstTokenTimeoutMs: milliseconds.default(120_000),
  /** Between two tokens. */
  tokenTimeoutMs: milliseconds.default(60_000),
  /** Size of one event, and of all tool calls of one answer. An answer that is not streamed may have 4 MB. */
  eventLimitBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
});

export type Config = z.infer<typeof config>;
