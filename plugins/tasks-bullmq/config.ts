import { checkRedisConfig, redisConfig } from '#sdk/redis';
import { tasksConfig } from '#sdk/tasks';
import type { z } from '#zod';

export const config = redisConfig.extend(tasksConfig.shape).superRefine(checkRedisConfig);

export type Config = z.infer<typeof config>;
