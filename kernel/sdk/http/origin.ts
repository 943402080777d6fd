import type { Headers } from '../../contracts/transport.js';
import { parseUrl } from '../parse-url.js';

/** `same`: no page, or a page of this server. `cross`: an allowed page of another host. `refused`: any other page. */
export type OriginVerdict = 'same' | 'cross' | 'refused';

/** Checks the `Origin` of a browser, so that no foreign page can use its visitor's connection. */
export function judgeOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): OriginVerdict {
  if (origin === undefined) return 'same';
  const from = parseUrl(origin);
  // With the page's scheme, so that its default port is left out on both sides.
  const here = from && host ? parseUrl(`${from.protocol}//${host}`) : undefined;
  if (from && here && from.host === here.host) return 'same';
  if (from && here && isLoopback(from.hostname) && isLoopback(here.hostname)) return 'cross';
  // It is sent back in a header: visible ASCII only.
  const listed = allowed.includes(origin) || (allowed.includes('*') && /^[!-~]+$/.test(origin));
  return listed ? 'cross' : 'refused';
}

/**
 * Whether a page of another origin has sent a request to `host`: by its `Origin`, or by `Sec-Fetch-Site`
 * (www.w3.org/TR/fetch-metadata), which browsers also send without one.
 */
export function isCrossOrigin(
  header: (name: string) => string | undefined,
  host: string | undefined,
): boolean {
  const site = header('sec-fetch-site') ?? 'none';
  return (site !== 'same-origin' && site !== 'none') || judgeOrigin(header('origin'), host, []) !== 'same';
}

/** Headers that let a page of another host read the response, without credentials. */
export function corsHeaders(origin: string): Headers {
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'x-request-id, x-waggle-agent, retry-after',
    vary: 'Origin',
  };
}

/** Headers of the response to a preflight request. */
export function preflightHeaders(allow: string, requestedHeaders: string | undefined): Headers {
  return {
    'access-control-allow-methods': allow,
    'access-control-max-age': '600',
    ...(requestedHeaders && /^[\w, -]+$/.test(requestedHeaders)
      ? { 'access-control-allow-headers': requestedHeaders }
      : {}),
  };
}

/** Why no browser sends this `Origin`, with the correct form; undefined for a possible one. */
export function whyNoOrigin(text: string): string | undefined {
  if (text === '*' || text === 'null') return undefined;
  const shape = 'an origin is scheme://host or scheme://host:port, or * for all';
  const url = parseUrl(text);
  if (!url || url.protocol === 'file:' || !text.includes('://') || text.includes('*'))
    return `never matches: ${shape}`;
  // Apps and browser extensions have their own schemes, whose origin only the browser knows.
  const meant = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
  return text === meant ? undefined : `never matches: ${shape}; write ${meant}`;
}

/** Whether a host is this machine alone: `localhost`, `127.0.0.1`, `[::1]`. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(\.\d+){3}$/.test(hostname)
  );
}
