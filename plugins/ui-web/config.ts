import { z } from '#zod';

export const config = z.strictObject({
  /** The inspector and its figures, for everybody who reaches the port; `false` leaves only the chat. */
  inspector: z.boolean().default(true),
});

export type Config = z.infer<typeof config>;
