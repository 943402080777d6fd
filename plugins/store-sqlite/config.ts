import { ageMs } from '#sdk';
import { z } from '#zod';

const chars = z.int().min(1);

export const config = z.strictObject({
  /** The file, relative to the working directory; `-wal`, `-shm` and `-lock` are beside it. Missing folders are created. */
  path: z.string().min(1).default('waggle.sqlite'),
  /** Messages per conversation; the oldest are dropped first. */
  maxMessages: z.int().min(2).default(1000),
  /** Characters of one conversation. */
  conversationLimitChars: chars.default(8_000_000),
  /** Number of conversations; the least recently used is dropped first. */
  maxConversations: z.int().min(1).default(100_000),
  /** Characters of all conversations together. */
  totalLimitChars: chars.default(2_000_000_000),
  /** Time after its last use until a conversation is forgotten. */
  timeToLiveMs: ageMs.default(90 * 24 * 3_600_000),
  /** Reads and writes that may wait for the disk; the next one is refused with QUEUE_FULL. */
  queueLimit: z.int().min(1).default(10_000),
  /** Characters of messages that wait to be written. */
  queueLimitChars: chars.default(64_000_000),
});

export type Config = z.infer<typeof config>;
