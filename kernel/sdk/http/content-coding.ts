import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { WaggleError } from '../../errors.js';
import type { Collected } from './collected.js';

/** A stream that decodes a body. */
type Decoder = (body: Uint8Array) => Transform;

const options = { chunkSize: 64 * 1024 };
const decoders: Readonly<Record<string, Decoder>> = {
  gzip: () => createGunzip(options),
  'x-gzip': () => createGunzip(options),
  // Many clients leave out the zlib header.
  deflate: (body) => (hasZlibHeader(body) ? createInflate : createInflateRaw)(options),
  br: () => createBrotliDecompress(options),
};
/** Nested codings beyond this are an error. */
const mostCodings = 2;

/** Supported codings, as a value of `Accept-Encoding`. */
const contentCodings = 'gzip, deflate, br';

/** The codings in `Content-Encoding`, the outermost one last. @throws UNSUPPORTED_MEDIA_TYPE for an unsupported one */
export function codingsIn(header: string | undefined): readonly string[] {
  const names = (header ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  const codings = names.filter((name) => name !== '' && name !== 'identity');
  const odd = codings.find((name) => !Object.hasOwn(decoders, name)) ?? codings[mostCodings];
  if (odd !== undefined)
    throw new WaggleError('UNSUPPORTED_MEDIA_TYPE', { type: odd.slice(0, 60), codings: contentCodings });
  return codings;
}

/**
 * The decoded body, in a place that `next` makes for each coding; the place before it is dropped.
 * @throws TOO_LARGE, BODIES_FULL, INVALID_REQUEST where the body does not have a coding
 */
export async function decoded(
  body: Collected,
  codings: readonly string[],
  next: () => Collected,
): Promise<Collected> {
  let from = body;
  for (const coding of codings.toReversed()) {
    const to = next();
    try {
      await decode(from.bytes, coding, to);
    } catch (error) {
      to.drop();
      throw error;
    } finally {
      from.drop();
    }
    from = to;
  }
  return from;
}

function decode(body: Uint8Array, coding: string, to: Collected): Promise<void> {
  const decoder = (decoders[coding] as Decoder)(body);
  return new Promise((resolve, reject) => {
    const refuse = (cause?: unknown) => {
      const issues = [`Content-Encoding: the body is not ${coding}, or a part of it is missing`];
      reject(new WaggleError('INVALID_REQUEST', { issues }, { cause }));
    };
    // To a decoder it is nothing that is wrong.
    if (body.byteLength === 0) return refuse();
    decoder.on('data', (part: Uint8Array) => {
      try {
        to.push(part);
      } catch (error) {
        decoder.destroy();
        reject(error);
      }
    });
    decoder.on('end', resolve).on('error', refuse);
    decoder.end(body);
  });
}

/** Whether bytes look like a gzip body without its `Content-Encoding`. */
export function looksLikeGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function hasZlibHeader(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}
