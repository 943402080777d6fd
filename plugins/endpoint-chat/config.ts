import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** Time limit of `POST /chat` for the complete answer. */
  replyTimeoutMs: milliseconds.default(10 * 60_000),
  /**
   * Time limit from the head of a request to the first part of its stream: a queue position, `streaming_start`, a
   * heartbeat, or the whole answer of a fallback. It covers reading the body and the conversation, not the first token.
   */
  startTimeoutMs: milliseconds.default(10 * 60_000),
  /** Size of a request body, before and after decompression. */
  bodyLimitBytes: z
    .int()
    .min(1)
    .default(32 * 1024 * 1024),
  /** Interval of comments in an idle event stream, so that proxies keep it open. */
  heartbeatMs: milliseconds.default(15_000),
});

export type Config = z.infer<typeof config>;
