import type { Headers, HttpRequest, HttpResponse, Transport } from '#kernel';
import * as sdk from '#sdk';

const policy: readonly string[] = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Pictures of the user, which load nothing.
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // Text becomes elements only through the sanitiser.
  "require-trusted-types-for 'script'",
  'trusted-types dompurify',
];

const sameOrigin = { 'cross-origin-resource-policy': 'same-origin' };

/** Headers of a page: it talks to this server only, runs no inline script, and is not framed. */
export const pageHeaders: Headers = {
  ...sdk.pageHeaders(policy),
  ...sameOrigin,
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

export const assetHeaders: Headers = { ...sdk.assetHeaders, ...sameOrigin };

/** Sends a body, or 304 when the client has it cached. */
export function sendTagged(
  request: HttpRequest,
  reply: HttpResponse,
  body: string | Uint8Array,
  headers: Headers & { readonly etag: string },
): void {
  const known = request.header('if-none-match')?.split(',') ?? [];
  const isKnown = known.some(
    (each) => each.trim().replace(/^W\//, '') === headers.etag || each.trim() === '*',
  );
  reply.send(isKnown ? 304 : 200, isKnown ? '' : body, headers);
}

/** Address of the chat page for a browser on this machine. */
export function pageUrl({ address, basePath }: Pick<Transport, 'address' | 'basePath'>): string {
  const { host = 'localhost', port = 80, tls = false } = address ?? {};
  const isAny = host === '0.0.0.0' || host === '::';
  const name = isAny ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'https' : 'http'}://${name}:${port}${basePath}/ui`;
}
