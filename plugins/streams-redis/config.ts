import { checkRedisConfig, redisConfig } from '#sdk/redis';
import { streamsConfig } from '#sdk/streams';
import { z } from '#zod';

/** Config of replies that all servers of an installation can read. */
export const config = streamsConfig
  .extend({
    ...redisConfig.shape,
    /** Time after which what an answer has gained is written. Each turn of the event loop while somebody reads it on another server. */
    flushMs: z.int().min(1).max(1000).default(50),
    /** Writes of logs a second; above it, `flushMs` is stretched. */
    maxWritesPerSecond: z.int().min(20).default(20_000),
  })
  .superRefine(checkRedisConfig);

export type Config = z.infer<typeof config>;
