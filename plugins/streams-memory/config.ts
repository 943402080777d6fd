import { z } from 'zod';

export const config = z.strictObject({
  /** Replies that run at the same time. */
  maxRunning: z.int().min(1).default(2000),
  /** Characters of one answer, thinking included; a longer one is cut off with an error. */
  replyLimitChars: z.int().min(1).default(4_000_000),
  /** How long one answer may take in all. */
  replyTimeoutMs: z
    .int()
    .min(1)
    .default(30 * 60_000),
  /** How long an agent may take to stop after a cancel before its reply ends without it. */
  cancelTimeoutMs: z.int().min(1).default(2000),
});

export type Config = z.infer<typeof config>;
