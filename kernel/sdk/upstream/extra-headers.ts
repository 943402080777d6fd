import { z } from '#zod';

/** They belong to the connection, or are what this server writes. */
const own =
  /^(connection|content-encoding|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

/** Headers for each request to a model server, beside what is sent anyway; an empty one is not sent. Their values are shown to nobody. */
export const extraHeaders = z.record(
  z
    .string()
    .regex(/^[\w!#$%&'*+.^`|~-]+$/, 'expected the name of a header')
    .refine((name) => !own.test(name), 'expected a header that does not belong to the connection'),
  z.string().regex(/^([!-~]([\t -~]*[!-~])?)?$/, 'expected visible ASCII'),
);

/** As they are sent: those of the config take the place of others by the same name. */
export function withExtra(
  headers: Readonly<Record<string, string>>,
  extra: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const given = Object.entries(extra).filter(([, value]) => value !== '');
  return { ...headers, ...Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), value])) };
}
