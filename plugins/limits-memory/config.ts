import { z } from '#zod';

const limit = z.int().min(1).optional();

export const config = z.strictObject({
  /** Limits of users whose credentials have none: `requestsPerMinute`, `repliesAtOnce`, `connectionsAtOnce`, `tokensPerDay`. */
  limits: z
    .strictObject({
      requestsPerMinute: limit,
      repliesAtOnce: limit,
      connectionsAtOnce: limit,
      tokensPerDay: limit,
    })
    .default({}),
  /** Users, or keys, whose usage is counted. Above it the count that would be reset next is forgotten. */
  maxUsers: z.int().min(1).default(100_000),
});

export type Config = z.infer<typeof config>;
