import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** How long `POST /chat` may take for a whole answer. */
  replyTimeoutMs: milliseconds.default(10 * 60_000),
  /**
   * From the head of a request to the first thing that its stream sends: its place in the line, `streaming_start`, a
   * heartbeat, or a fallback's whole answer. Reading the body and the conversation counts, the model's first token not.
   */
  startTimeoutMs: milliseconds.default(10 * 60_000),
  /** Silence after which an event stream gets a comment, so that proxies keep it open. */
  heartbeatMs: milliseconds.default(15_000),
});

export type Config = z.infer<typeof config>;
