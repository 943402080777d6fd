import type { BodyRange } from './body-range.js';
import {
  backslash,
  cr,
  equals,
  hexValue,
  isQuotable,
  isText,
  isToken,
  lf,
  quote,
  semicolon,
} from './bytes.js';
import { ParseError } from './parse-error.js';

// The states.
const sizeStart = 0;
const size = 1;
const extensionStart = 2;
const extensionName = 3;
const extensionValue = 4;
const quoted = 5;
const quotedPair = 6;
const quotedEnd = 7;
const sizeEnd = 8;
const data = 9;
const dataEnd = 10;
const dataEndLf = 11;
const done = 12;

const extensionsLimitBytes = 16 << 10;

/** Parser of a body in chunks, up to its trailers. */
export class ChunkParser {
  #state = sizeStart;
  /** Size of the chunk, then the bytes of it that are still to come. */
  #left = 0;
  #extensionBytes = 0;

  /** Whether the last chunk has come, which is empty. */
  get isDone(): boolean {
    return this.#state === done;
  }

  begin(): void {
    this.#state = sizeStart;
  }

  /** Reads on from `from` and adds the data to `body`. Returns the place after the last byte it has read. @throws ParseError */
  push(bytes: Buffer, from: number, end: number, body: BodyRange): number {
    let state = this.#state;
    let at = from;
    while (at < end && state !== done) {
      if (state === data) {
        const dataEndsAt = Math.min(end, at + this.#left);
        body.add(bytes, at, dataEndsAt);
        this.#left -= dataEndsAt - at;
        at = dataEndsAt;
        if (this.#left === 0) state = dataEnd;
        continue;
      }
      const byte = bytes[at++] as number;
      switch (state) {
        case size: {
          const digit = hexValue[byte] as number;
          if (digit >= 0) this.#left = 16 * this.#left + digit;
          else if (byte === cr) state = sizeEnd;
          else if (byte === semicolon) state = extensionStart;
          else fail('INVALID_CHUNK_SIZE', 'an invalid character in the size of a chunk');
          if (this.#left > Number.MAX_SAFE_INTEGER) fail('INVALID_CHUNK_SIZE', 'a chunk is too long');
          break;
        }
        case sizeEnd:
          if (byte !== lf) fail('STRICT', 'no line feed after the size of a chunk');
          state = this.#left === 0 ? done : data;
          break;
        case dataEnd:
          if (byte !== cr) fail('STRICT', 'no line break after a chunk');
          state = dataEndLf;
          break;
        case dataEndLf:
          if (byte !== lf) fail('STRICT', 'no line break after a chunk');
          state = sizeStart;
          break;
        case sizeStart:
          this.#left = hexValue[byte] as number;
          if (this.#left < 0) fail('INVALID_CHUNK_SIZE', 'an invalid character in the size of a chunk');
          this.#extensionBytes = 0;
          state = size;
          break;
        default:
          state = this.#readExtension(state, byte);
      }
    }
    this.#state = state;
    return at;
  }

  /** Reads one byte of an extension, which is checked and ignored. Returns the next state. */
  #readExtension(state: number, byte: number): number {
    if (++this.#extensionBytes > extensionsLimitBytes)
      fail('CHUNK_EXTENSIONS_OVERFLOW', 'the extensions of a chunk are too long');
    switch (state) {
      case extensionStart:
      case extensionName:
        if (isToken[byte]) return extensionName;
        if (byte === equals) return extensionValue;
        if (byte === semicolon) return extensionStart;
        if (byte === cr && state === extensionName) return sizeEnd;
        break;
      case extensionValue:
        if (byte === quote) return quoted;
        if (isToken[byte]) return extensionValue;
        if (byte === semicolon) return extensionStart;
        if (byte === cr) return sizeEnd;
        break;
      case quoted:
        if (isQuotable[byte]) return quoted;
        if (byte === quote) return quotedEnd;
        if (byte === backslash) return quotedPair;
        break;
      case quotedPair:
        if (isText[byte]) return quoted;
        break;
      case quotedEnd:
        if (byte === semicolon) return extensionStart;
        if (byte === cr) return sizeEnd;
        break;
    }
    return fail('STRICT', 'an invalid character in an extension of a chunk');
  }
}

function fail(kind: string, message: string): never {
  throw new ParseError(`HPE_${kind}`, message);
}
