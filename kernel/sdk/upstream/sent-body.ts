/** Of a body with a picture. */
const largeChars = 64 * 1024;

/** A large body as bytes: a text would be joined with the head, measured and encoded, each time in a copy. */
export function sentBody(body: string | Uint8Array): string | Uint8Array {
  if (typeof body !== 'string' || body.length <= largeChars) return body;
  // `Buffer.from` takes three times the memory that it needs, and several times as long.
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(body));
  bytes.write(body, bytes.byteLength === body.length ? 'latin1' : 'utf8');
  return bytes;
}
