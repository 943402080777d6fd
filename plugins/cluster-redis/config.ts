import { checkRedisConfig, redisConfig } from '#sdk/redis';

export const config = redisConfig.superRefine(checkRedisConfig);
