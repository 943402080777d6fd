import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import { WaggleError } from '../../errors.js';

type Decode = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

const zlibDecode = promisify(inflate) as Decode;
const rawDecode = promisify(inflateRaw) as Decode;
const decoders: Readonly<Record<string, Decode>> = {
  gzip: promisify(gunzip) as Decode,
  'x-gzip': promisify(gunzip) as Decode,
  // Half of those who say so leave the envelope out.
  deflate: (bytes, options) => (hasEnvelope(bytes) ? zlibDecode : rawDecode)(bytes, options),
  br: promisify(brotliDecompress) as Decode,
};
/** More of them, one in another, say that something is wrong. */
const mostCodings = 2;

/** What is read of compressed bodies, as `Accept-Encoding` has it. */
const contentCodings = 'gzip, deflate, br';

/** The codings that `Content-Encoding` names, the outermost one last. @throws UNSUPPORTED_MEDIA_TYPE for one that is not read */
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

/** The body behind its codings. @throws TOO_LARGE, INVALID_REQUEST where a coding is not what the body has */
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

/** Whether bytes that are no text look like a compressed body whose coding nobody has named. */
export function looksLikeGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function hasEnvelope(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}
