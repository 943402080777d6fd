import { z } from '#zod';

export const config = z.strictObject({
  /** Concurrent replies and tasks per connection. */
  maxStreamsPerConnection: z.int().min(1).default(32),
  /** Frames per second from one connection, with bursts of ten times as many; above that it is closed with 1008. */
  maxFramesPerSecond: z.int().min(1).default(100),
  /** Consecutive frames that are not JSON before a connection is closed with 4400. */
  maxBadFrames: z.int().min(1).default(10),
});

export type Config = z.infer<typeof config>;
