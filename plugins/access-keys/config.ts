import { userIdLimitChars } from '#kernel';
import { usageLimits } from '#sdk/limits';
import { z } from '#zod';

const key = z.strictObject({
  user: z.string().min(1).max(userIdLimitChars),
  sha256: z
    .string()
    .regex(
      /^[\da-f]{64}$/i,
      'expected the SHA-256 of a key, 64 hexadecimal digits, as "waggle key new" prints it',
    ),
  scopes: z.array(z.string().min(1)).default([]),
  limits: usageLimits.optional(),
});

/** A list of keys, each at most once. */
export const keyList = z.array(key).superRefine((keys, { addIssue }) => {
  const first = new Map<string, number>();
  keys.forEach(({ sha256 }, index) => {
    const earlier = first.get(sha256.toLowerCase());
    if (earlier === undefined) first.set(sha256.toLowerCase(), index);
    else addIssue({ code: 'custom', path: [index, 'sha256'], message: sameKey(keys, earlier, index) });
  });
});

export const config = z.strictObject({
  /** Keys by their SHA-256: `{ user, sha256, scopes, limits }`. Scopes: `admin` for the routes of operators, `act-as` for requests in the name of others. Limits: `requestsPerMinute`, `repliesAtOnce`, `connectionsAtOnce`, `tokensPerDay`. */
  keys: keyList.default([]),
  /** A YAML file with such a list, relative to the working directory; it is read again when it changes. */
  file: z.string().min(1).optional(),
});

export type Config = z.output<typeof config>;

/** One key of the list. */
export type KeyEntry = z.output<typeof key>;

/** Why a list is refused that has a key twice. */
function sameKey(keys: readonly { readonly user: string }[], a: number, b: number): string {
  return `the same key as number ${a + 1} (user "${keys[a]?.user}"), here for user "${keys[b]?.user}"`;
}
