import type { HttpRequest } from '#kernel';
import { parseUrl } from '#sdk';

const name = 'waggle_session';
/** More of that name are not read: each costs a decryption. */
const maxRead = 4;

type Place = Pick<HttpRequest, 'origin' | 'basePath'>;

/** The `Set-Cookie` that keeps a session for so long; 0 seconds remove it. */
export function sessionCookie({ origin, basePath }: Place, value: string, seconds: number): string {
  const port = parseUrl(origin)?.port;
  // Browsers send a cookie to all ports of a host: two servers there have one each.
  return [
    `${name}${port ? `_${port}` : ''}=${value}`,
    `Path=${basePath}/`,
    `Max-Age=${seconds}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(origin.startsWith('https:') ? ['Secure'] : []),
  ].join('; ');
}

/** The values of the session cookies in a `Cookie` header. */
export function sessionValues(header: string | undefined): readonly string[] {
  if (!header?.includes(name)) return [];
  const values: string[] = [];
  for (const each of header.split(/[;,] */)) {
    const [, value] = /^waggle_session(?:_\d{1,5})?=([\w-]+)$/.exec(each.trim()) ?? [];
    if (value !== undefined && values.push(value) === maxRead) break;
  }
  return values;
}
