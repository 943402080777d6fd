import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import { WaggleError } from '../../errors.js';

type Decode = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

const zlibDecode = promisify(inflate) as Decode;
const rawDecode = promisify(inflateRaw) as Decode;
const decoders: Readonly<Record<string, Decode>> = {
  gzip: promisify(gunzip) as Decode,
  'x-gzip': promisify(gunzip) as Decode,
  // Many clients leave out the zlib header.
  deflate: (bytes, options) => (hasZlibHeader(bytes) ? zlibDecode : rawDecode)(bytes, options),
  br: promisify(brotliDecompress) as Decode,
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

/** The decoded body. @throws TOO_LARGE, INVALID_REQUEST where the body does not have a coding */
export async function decoded(
  body: Uint8Array,
  codings: readonly string[],
  limitBytes: number,
): Promise<Uint8Array> {
  let bytes = body;
  for (const coding of codings.toReversed())
    try {
      bytes = await (decoders[coding] as Decode)(bytes, { maxOutputLength: limitBytes });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        throw new WaggleError('TOO_LARGE', { limitBytes }, { cause });
      const issues = [`Content-Encoding: the body is not ${coding}, or a part of it is missing`];
      throw new WaggleError('INVALID_REQUEST', { issues }, { cause });
    }
  return bytes;
}

/** Whether bytes look like a gzip body without its `Content-Encoding`. */
export function looksLikeGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function hasZlibHeader(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}
