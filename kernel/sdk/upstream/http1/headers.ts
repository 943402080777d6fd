import type { IncomingHttpHeaders } from 'node:http';

/** Names of which only the first header counts, as in Node.js. */
const single = new Set([
  ...['age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host'],
  ...['if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards'],
  ...['proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent'],
]);

/** Adds a header as Node.js does: a repeated one is ignored, or joined with the first. */
export function addHeader(headers: IncomingHttpHeaders, name: string, value: string): void {
  const first = headers[name];
  if (name === 'set-cookie') headers[name] = [...(first ?? []), value];
  else if (first === undefined) headers[name] = value;
  else if (!single.has(name)) headers[name] = `${first}${name === 'cookie' ? '; ' : ', '}${value}`;
}
