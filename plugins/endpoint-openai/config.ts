import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** How long a whole answer may take where it is not streamed. */
  replyTimeoutMs: milliseconds.default(10 * 60_000),
  /** How long a stream's headers wait for its first token: before them an error still has a status of its own. */
  holdHeadersMs: milliseconds.max(60_000).default(10_000),
  /** Silence after which a stream gets a comment, so that proxies keep it open. */
  heartbeatMs: milliseconds.max(15_000).default(15_000),
  /** What a model's reasoning is called: clients differ. */
  reasoningField: z.enum(['reasoning_content', 'reasoning']).default('reasoning_content'),
});

export type Config = z.infer<typeof config>;
