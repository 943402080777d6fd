import type { Headers, HttpRequest, HttpResponse, Transport } from '#kernel';

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // Text becomes elements only by way of the sanitiser.
  "require-trusted-types-for 'script'",
  'trusted-types dompurify',
];

/** A page may load and ask nothing but this server, runs nothing that stands in itself, and is shown in no frame. */
export const pageHeaders: Headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-cache',
  'content-security-policy': policy.join('; '),
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** A file whose address changes with its content. */
export const assetHeaders: Headers = {
  'cache-control': 'public, max-age=31536000, immutable',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

/** Answers with a body, or with 304 when the client has it already. */
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

/** Where a browser on this machine finds the chat page. */
export function pageUrl({ address, basePath }: Pick<Transport, 'address' | 'basePath'>): string {
  const { host = 'localhost', port = 80 } = address ?? {};
  const isAny = host === '0.0.0.0' || host === '::';
  const name = isAny ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}${basePath}/ui`;
}
