import { parseUrl } from '#sdk';
import { z } from '#zod';
import { publicKeyIn } from './verification-key.js';

const ways = ['jwksUrl', 'secret', 'publicKey'] as const;

export const config = z
  .strictObject({
    /** The URL of the issuer's set of public keys. One of `jwksUrl`, `secret` and `publicKey` is needed. */
    jwksUrl: z
      .string()
      .refine((url) => /^https?:$/.test(parseUrl(url)?.protocol ?? ''), 'expected an http or https URL')
      .optional(),
    /** A secret that is shared with the issuer, for HS256, HS384 and HS512. */
    secret: z
      .string()
      .refine(
        (secret) => Buffer.byteLength(secret) >= 32,
        'expected at least 32 bytes; a shorter one can be guessed',
      )
      .optional(),
    /** The issuer's public key, as PEM or as the text of a JWK. */
    publicKey: z
      .string()
      .superRefine((text, { addIssue }) => {
        const key = publicKeyIn(text);
        if (typeof key === 'string') addIssue({ code: 'custom', message: key });
      })
      .optional(),
    /** The `iss` of its tokens; those of others are left to the other access plugins. */
    issuer: z.string().min(1).optional(),
    /** The `aud` of its tokens, or a list of which one has to match; any when absent. */
    audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(),
    /** The claim with the user's id, at most 128 characters. */
    userClaim: z.string().min(1).default('sub'),
    /** The claim with the scopes: text with spaces between, or a list. */
    scopesClaim: z.string().min(1).default('scope'),
    /** How far the clocks of issuer and server may be apart. */
    clockToleranceS: z.int().min(0).max(3600).default(0),
  })
  .superRefine((given, { addIssue }) => {
    if (ways.filter((way) => given[way] !== undefined).length === 1) return;
    addIssue({ code: 'custom', message: `expected exactly one of ${ways.join(', ')}` });
  });

export type Config = z.output<typeof config>;
