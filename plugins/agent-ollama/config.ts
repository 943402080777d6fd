import { milliseconds } from '#sdk';
import { extraHeaders, reasoningTags, upstreamWay } from '#sdk/upstream';
import { z } from '#zod';
import { isBaseUrl } from './base-url.js';

export const config = z.strictObject({
  /** Name under which it is registered; several instances need several names. */
  name: z.string().min(1).default('ollama'),
  /** As Ollama's own `OLLAMA_HOST`: a URL, or a host with or without a port. */
  baseUrl: z
    .string()
    .refine(isBaseUrl, 'expected an http or https URL without a user or password')
    .default('http://127.0.0.1:11434'),
  /** Preferred model. Where it is not installed, the first installed one answers. */
  model: z.string().default(''),
  /** Whether models that can reason do so, or how much; Ollama decides when absent. */
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max', 'true', 'false'])]).optional(),
  /** Whether its models write their thinking into the answer, between `<think>` and `</think>`; or the names of such tags. */
  reasoningTags: reasoningTags.default(false),
  /** How long a model stays loaded after its last request: `10m`, seconds as a number, `-1` for ever, `0` not at all. */
  keepAlive: z
    .union([
      z.number(),
      z
        .string()
        .regex(
          /^(-?\d+|-?((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)?$/,
          'expected seconds, or a duration such as 10m',
        ),
    ])
    .optional(),
  /** The context window in tokens; when absent, as much as a conversation needs. */
  numCtx: z.int().min(1).optional(),
  /** The largest context window that is requested by itself: a larger one takes more memory of the machine. */
  maxNumCtx: z.int().min(1).default(16_384),
  /** Other model options of Ollama, by its names: `{ num_gpu: 20, top_k: 40 }`. Options of a request take precedence. */
  options: z.record(z.string().min(1), z.unknown()).default({}),
  /** Additional headers for each request, for a proxy in front of Ollama. */
  headers: extraHeaders.default({}),
  /** `auto`: plain HTTP is read from the socket itself, which costs less; `node`: everything goes through Node's HTTP client. */
  upstream: upstreamWay.default('auto'),
  /** Until the connection is made. */
  connectTimeoutMs: milliseconds.default(3000),
  /** Until the first token, including the load of the model. */
  firstTokenTimeoutMs: milliseconds.default(120_000),
  /** Between two tokens. */
  tokenTimeoutMs: milliseconds.default(60_000),
  /** Size of one line of an answer. */
  lineLimitBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
});

export type Config = z.infer<typeof config>;
