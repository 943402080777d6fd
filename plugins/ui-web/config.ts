import { z } from '#zod';

export const config = z.strictObject({
  /** The inspector page and its data, open to everyone who can reach the port; `false` leaves only the chat. */
  inspector: z.boolean().default(true),
});

export type Config = z.infer<typeof config>;
