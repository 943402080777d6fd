import { z } from 'zod';

export const config = z.strictObject({
  /** How long `POST /chat` may take for a whole answer. */
  replyTimeoutMs: z
    .int()
    .min(1)
    .default(10 * 60_000),
  /** How long `POST /chat/stream` may take until an agent is chosen and the stream begins. */
  startTimeoutMs: z.int().min(1).default(30_000),
});

export type Config = z.infer<typeof config>;
