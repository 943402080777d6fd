import { milliseconds } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** Concurrent replies and tasks per connection. */
  maxStreamsPerConnection: z.int().min(1).default(32),
  /** Frames per second from one connection, with bursts of ten times as many; above that it is closed with 1008. */
  maxFramesPerSecond: z.int().min(1).default(100),
  /** Consecutive frames that are not JSON before a connection is closed with 4400. */
  maxBadFrames: z.int().min(1).default(10),
  /** Notifications that are kept for users who are away. */
  inbox: z
    .strictObject({
      /** The newest of each user, and the newest to all users. */
      maxNotifications: z.int().min(0).default(100),
      /** Characters of each of these; a single notification must not be longer. */
      limitChars: z.int().min(1024).default(131_072),
      /** Time for which they are kept. */
      keepMs: milliseconds.default(24 * 3_600_000),
      /** Users with an inbox; those that were not written to for the longest time lose theirs. */
      maxUsers: z.int().min(1).default(10_000),
      /** Characters of all inboxes. */
      totalLimitChars: z.int().min(1024).default(64_000_000),
    })
    .prefault({}),
});

export type Config = z.infer<typeof config>;
