import { millisecondsOrNone } from '#sdk';
import { z } from '#zod';

export const config = z.strictObject({
  /** Upper limit of `?wait=`; longer waits are cut to it. */
  maxWaitMs: millisecondsOrNone.max(3_600_000).default(60_000),
});

export type Config = z.infer<typeof config>;
