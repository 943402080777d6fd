import { z } from '#zod';

const minChars = 32;

export const config = z.strictObject({
  /** The inspector page and its data, for users with the scope `admin`, in an open server for anyone; `false` leaves only the chat. */
  inspector: z.boolean().default(true),
  /** Seals the session cookies of signed-in browsers; at least 32 characters. Without it sessions end with a restart. */
  sessionSecret: z
    .string()
    .refine(
      (text) => text === '' || text.length >= minChars,
      `expected at least ${minChars} characters, such as those of: openssl rand -hex 32`,
    )
    .default(''),
});

export type Config = z.infer<typeof config>;
