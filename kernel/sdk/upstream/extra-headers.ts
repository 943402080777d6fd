import { z } from '#zod';

/** Headers of the connection, or written by this server. */
const own =
  /^(connection|content-encoding|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

/** Schema of additional headers for each request to a model server. Empty ones are not sent; the values are secret. */
export const extraHeaders = z.record(
  z
    .string()
    .regex(/^[\w!#$%&'*+.^`|~-]+$/, 'expected the name of a header')
    .refine((name) => !own.test(name), 'expected a header that does not belong to the connection'),
  z.string().regex(/^([!-~]([\t -~]*[!-~])?)?$/, 'expected visible ASCII'),
);

/** The headers of a request; those of the config override others. */
export function withExtra(
  headers: Readonly<Record<string, string>>,
  extra: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const given = Object.entries(extra).filter(([, value]) => value !== '');
  return { ...headers, ...Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), value])) };
}
