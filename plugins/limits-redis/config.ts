import { limitsConfig } from '#sdk/limits';
import { checkRedisConfig, redisConfig } from '#sdk/redis';
import { z } from '#zod';

export const config = limitsConfig
  .extend({
    ...redisConfig.shape,
    /** Users, or keys, whose counts this server remembers as it has seen them last, to write them again where Redis has lost them. */
    maxUsers: z.int().min(1).default(100_000),
  })
  .superRefine(checkRedisConfig);

export type Config = z.infer<typeof config>;
