import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';

/**
 * The response body, decompressed as a stream; undefined for an unknown coding. Its first bytes take precedence over its
 * header: some servers send `gzip` with a body that a proxy has decompressed, or `deflate` for either kind.
 */
export async function decoded(response: IncomingMessage): Promise<Readable | undefined> {
  const names = (response.headers['content-encoding'] ?? '').toLowerCase().split(',');
  const codings = names.map((name) => name.trim()).filter((name) => name !== '' && name !== 'identity');
  if (codings.length === 0) return response;
  const make = decoders[codings.join()];
  if (!make) return undefined;
  const head = await firstBytes(response);
  const decoder = head.length === 0 ? undefined : make(head);
  if (!decoder) return response;
  response.once('error', (cause) => decoder.destroy(cause));
  response.once('close', () => {
    if (!response.complete) decoder.destroy(new Error('the connection was closed before the end'));
  });
  return response.pipe(decoder);
}

const decoders: Readonly<Record<string, (head: Uint8Array) => Transform | undefined>> = {
  gzip: gunzip,
  'x-gzip': gunzip,
  deflate: (head) => gunzip(head) ?? (isWrapped(head) ? createInflate() : createInflateRaw()),
  br: (head) => (isJsonOrEvents(head) ? undefined : createBrotliDecompress()),
};

function gunzip([first, second]: Uint8Array): Transform | undefined {
  return first === 0x1f && (second === 0x8b || second === undefined) ? createGunzip() : undefined;
}

function isWrapped([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}

function isJsonOrEvents(head: Uint8Array): boolean {
  return /^\s*(\{"|data:|event:|: )/.test(Buffer.from(head.subarray(0, 16)).toString('latin1'));
}

/** Peeks at the first bytes. */
async function firstBytes(response: IncomingMessage): Promise<Uint8Array> {
  if (response.readableLength === 0) {
    if (response.complete) return new Uint8Array();
    // Also emitted at the end of an empty body.
    await once(response, 'readable');
  }
  const head = response.read() as Uint8Array | null;
  if (head) response.unshift(head);
  return head ?? new Uint8Array();
}
