import { z } from 'zod';

export const config = z.strictObject({
  /** Replies that one connection may have running at the same time. */
  maxStreamsPerConnection: z.int().min(1).default(32),
});

export type Config = z.infer<typeof config>;
