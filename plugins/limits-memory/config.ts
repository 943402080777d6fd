import { limitsConfig } from '#sdk/limits';
import { z } from '#zod';

export const config = limitsConfig.extend({
  /** Users, or keys, whose usage is counted. Above it the count that would be reset next is forgotten. */
  maxUsers: z.int().min(1).default(100_000),
});

export type Config = z.infer<typeof config>;
