import { whyNoNetwork } from '#sdk/http';
import { z } from '#zod';

export const config = z.strictObject({
  /** The header in which the proxy names the user. The proxy has to remove it from what clients send. */
  userHeader: z
    .string()
    .regex(/^[\w-]+$/, 'expected the name of a header')
    .transform((name) => name.toLowerCase())
    .default('x-forwarded-user'),
  /** The proxies, as addresses or networks: `10.0.0.0/8`. Headers of all others are ignored. */
  trustedProxies: z
    .array(
      z.string().superRefine((network, { addIssue }) => {
        const message = whyNoNetwork(network);
        if (message) addIssue({ code: 'custom', message });
      }),
    )
    .min(1),
  /** Scopes of all its users: `admin`, `act-as`. */
  scopes: z.array(z.string().min(1)).default([]),
});

export type Config = z.output<typeof config>;
