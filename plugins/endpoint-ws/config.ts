import { z } from '#zod';

export const config = z.strictObject({
  /** Replies that one connection may read at the same time. */
  maxStreamsPerConnection: z.int().min(1).default(32),
  /** Frames a second that one connection may send over time, and ten times as many at once; above it is closed with 1008. */
  maxFramesPerSecond: z.int().min(1).default(100),
  /** Frames that are not JSON, one after the other, before a connection is closed with 4400. */
  maxBadFrames: z.int().min(1).default(10),
});

export type Config = z.infer<typeof config>;
