import { milliseconds, reasoningTags } from '#kernel';
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
  /** Whether models that can reason do so; Ollama decides when absent. */
  think: z.boolean().optional(),
  /** Whether its models write what they think into their answer, between `<think>` and `</think>`; or the names of such tags. */
  reasoningTags: reasoningTags.default(false),
  /** How long a model stays loaded after its last request, as Ollama reads it: `10m`, `-1`. */
  keepAlive: z.string().optional(),
  connectTimeoutMs: milliseconds.default(3000),
  /** Until the first token, model load included. */
  firstTokenTimeoutMs: milliseconds.default(120_000),
  /** Between two tokens. */
  tokenTimeoutMs: milliseconds.default(60_000),
  /** One line of an answer. */
  lineLimitBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
});

export type Config = z.infer<typeof config>;
