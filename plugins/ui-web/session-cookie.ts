import type { Credentials, HttpRequest } from '#kernel';
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

/** Whether a browser says that another site, or another port of this host, has made the request. */
export function isForeign(header: Credentials['header']): boolean {
  const site = header('sec-fetch-site');
  return site !== undefined && site !== 'same-origin' && site !== 'none';
}

/** Whether the request comes from a page of this server, or from no page. */
export function isSameOrigin(request: Pick<HttpRequest, 'header' | 'origin'>): boolean {
  if (isForeign((each) => request.header(each))) return false;
  const origin = request.header('origin');
  if (origin === undefined) return true;
  const from = parseUrl(origin);
  // Without the scheme: a proxy may speak https for this server.
  const here = from && parseUrl(`${from.protocol}//${request.origin.replace(/^https?:\/\//, '')}`);
  return from !== undefined && from.host !== '' && from.host === here?.host;
}
