import { z } from '../../contracts/zod.js';
import { milliseconds } from '../milliseconds.js';

/** Config of every dialect. */
export const dialectConfig = z.strictObject({
  /** Time limit of an answer that is not streamed. */
  replyTimeoutMs: milliseconds.default(10 * 60_000),
  /** Size of a request body, before and after decompression. */
  bodyLimitBytes: z
    .int()
    .min(1)
    .default(32 * 1024 * 1024),
  /** How long the headers of a stream wait for its first token; until then an error gets its own HTTP status. */
  holdHeadersMs: milliseconds.max(60_000).default(10_000),
  /** Interval of heartbeats in an idle stream, so that proxies keep it open. */
  heartbeatMs: milliseconds.max(15_000).default(15_000),
});

/** The config that all dialects share. */
export type DialectConfig = z.infer<typeof dialectConfig>;
