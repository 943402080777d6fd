import { milliseconds } from '#kernel';
import { z } from '#zod';

export const config = z.strictObject({
  /** How long `POST /chat` may take for a whole answer. */
  replyTimeoutMs: milliseconds.default(10 * 60_000),
  /** How long a stream may take until an agent is chosen and it begins; waiting for a turn included. */
  startTimeoutMs: milliseconds.default(10 * 60_000),
  /** Silence after which an event stream gets a comment, so that proxies keep it open. */
  heartbeatMs: milliseconds.default(15_000),
});

export type Config = z.infer<typeof config>;
