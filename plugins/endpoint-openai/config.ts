import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** Time limit of an answer that is not streamed. */
  replyTimeoutMs: milliseconds.default(10 * 60_000),
  /** How long the headers of a stream wait for its first token; until then an error gets its own HTTP status. */
  holdHeadersMs: milliseconds.max(60_000).default(10_000),
  /** Interval of comments in an idle stream, so that proxies keep it open. */
  heartbeatMs: milliseconds.max(15_000).default(15_000),
  /** Field name of reasoning, which differs between clients. */
  reasoningField: z.enum(['reasoning_content', 'reasoning']).default('reasoning_content'),
});

export type Config = z.infer<typeof config>;
