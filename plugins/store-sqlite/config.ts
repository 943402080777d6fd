import { ageMs } from '#sdk';
import { z } from '#zod';

const chars = z.int().min(1);

export const config = z.strictObject({
  /** The file, from where the server was started; `-wal`, `-shm` and `-lock` are beside it. Folders above it are made. */
  path: z.string().min(1).default('waggle.sqlite'),
  /** The oldest messages of a conversation go first. */
  maxMessages: z.int().min(2).default(1000),
  /** Characters of one conversation. */
  conversationLimitChars: chars.default(8_000_000),
  /** The conversation that was not used for the longest time goes first. */
  maxConversations: z.int().min(1).default(100_000),
  /** Characters of all conversations together. */
  totalLimitChars: chars.default(2_000_000_000),
  /** A conversation that was not used for so long is forgotten. */
  timeToLiveMs: ageMs.default(90 * 24 * 3_600_000),
  /** Reads and writes that may wait for the disk; the next one is refused with QUEUE_FULL. */
  queueLimit: z.int().min(1).default(10_000),
  /** Characters of what waits to be written. */
  queueLimitChars: chars.default(64_000_000),
});

export type Config = z.infer<typeof config>;
