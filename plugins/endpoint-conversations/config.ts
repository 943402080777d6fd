import { z } from '#zod';

export const config = z.strictObject({
  /** Size of the body of an import, before and after decompression. A conversation has to fit into one. */
  bodyLimitBytes: z
    .int()
    .min(1)
    .default(32 * 1024 * 1024),
});

export type Config = z.infer<typeof config>;
