import { millisecondsOrNone } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** Name under which it is registered. */
  name: z.string().min(1).default('eliza'),
  /** The same seed and the same conversation give the same answer. */
  seed: z.int().default(1),
  /** Pause between two words. */
  wordDelayMs: millisecondsOrNone.max(10_000).default(15),
});

export type Config = z.infer<typeof config>;
