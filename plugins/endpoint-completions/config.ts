import { dialectConfig } from '#sdk/dialect';
import { z } from '#zod';

export const config = dialectConfig.extend({
  /** Field name of reasoning, which differs between clients. */
  reasoningField: z.enum(['reasoning_content', 'reasoning']).default('reasoning_content'),
});

export type Config = z.infer<typeof config>;
