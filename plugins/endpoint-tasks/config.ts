import { millisecondsOrNone } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** The longest that a request with `?wait=` is held; longer waits are cut to it. */
  maxWaitMs: millisecondsOrNone.max(3_600_000).default(60_000),
});

export type Config = z.infer<typeof config>;
