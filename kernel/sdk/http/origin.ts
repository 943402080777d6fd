import type { Headers } from '../../contracts/transport.js';

/** Who a request comes from: no page or a page of ours, a page of another host that may call, or one that may not. */
export type OriginVerdict = 'same' | 'cross' | 'refused';

/** Judges the `Origin` that browsers send: without it any page could drive a visitor's connection. */
export function judgeOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): OriginVerdict {
  if (origin === undefined) return 'same';
  const from = parse(origin);
  // Written with the page's scheme, so that a port which is the default of that scheme is left out on both sides.
  const here = from && host ? parse(`${from.protocol}//${host}`) : undefined;
  if (from && here && from.host === here.host) return 'same';
  if (from && here && isLoopback(from.hostname) && isLoopback(here.hostname)) return 'cross';
  // It goes back in a header: nothing but visible ASCII.
  const listed = allowed.includes(origin) || (allowed.includes('*') && /^[!-~]+$/.test(origin));
  return listed ? 'cross' : 'refused';
}

/** Lets a page of another host read the answer. Credentials stay out of it. */
export function corsHeaders(origin: string): Headers {
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'x-request-id, x-waggle-agent, retry-after',
    vary: 'Origin',
  };
}

/** The answer to a browser that asks beforehand. */
export function preflightHeaders(allow: string, requestedHeaders: string | undefined): Headers {
  return {
    'access-control-allow-methods': allow,
    'access-control-max-age': '600',
    ...(requestedHeaders && /^[\w, -]+$/.test(requestedHeaders)
      ? { 'access-control-allow-headers': requestedHeaders }
      : {}),
  };
}

/** Why no browser ever sends this as its `Origin`, with what it would send; undefined where it may. */
export function whyNoOrigin(text: string): string | undefined {
  if (text === '*' || text === 'null') return undefined;
  const shape = 'an origin is scheme://host or scheme://host:port, or * for all';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.protocol === 'file:' || !text.includes('://') || text.includes('*'))
    return `never matches: ${shape}`;
  // Pages of apps and extensions have schemes of their own, whose origin only the browser knows.
  const meant = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
  return text === meant ? undefined : `never matches: ${shape}; write ${meant}`;
}

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}
