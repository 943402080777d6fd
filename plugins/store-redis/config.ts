import { ageMs } from '#sdk';
import { checkRedisConfig, redisConfig } from '#sdk/redis';
import { z } from '#zod';

export const config = redisConfig
  .extend({
    /** Messages per conversation; the oldest are dropped first. */
    maxMessages: z.int().min(2).default(1000),
    /** Characters of one conversation. */
    conversationLimitChars: z.int().min(1).default(8_000_000),
    /** Number of conversations; the least recently used is dropped first. */
    maxConversations: z.int().min(1).default(100_000),
    /** Characters of all conversations together. */
    totalLimitChars: z.int().min(1).default(1_000_000_000),
    /** Time after its last use until a conversation is forgotten. */
    timeToLiveMs: ageMs.default(90 * 24 * 3_600_000),
  })
  .superRefine(checkRedisConfig);

export type Config = z.infer<typeof config>;
