import { z } from '../../contracts/zod.js';

const limit = z.int().min(1).optional();

/** Limits of a user or of a key, in a config. */
export const usageLimits = z.strictObject({
  requestsPerMinute: limit,
  repliesAtOnce: limit,
  connectionsAtOnce: limit,
  tokensPerDay: limit,
});

/** Config of plugins that count usage. */
export const limitsConfig = z.strictObject({
  /** Limits of users whose credentials have none: `requestsPerMinute`, `repliesAtOnce`, `connectionsAtOnce`, `tokensPerDay`. */
  limits: usageLimits.default({}),
});

/** The part of a config that says which limits users have. */
export type LimitsConfig = z.infer<typeof limitsConfig>;
