import { type IncomingHttpHeaders, maxHeaderSize } from 'node:http';
import { colon, cr, isText, isToken, lf, space, tab } from './bytes.js';
import { Framing } from './framing.js';
import { addHeader } from './headers.js';
import { ParseError } from './parse-error.js';

// The states.
const start = 0;
const line = 1;
const afterStatus = 2;
const reason = 3;
const lineEnd = 4;
const fieldStart = 5;
const fieldName = 6;
const valueStart = 7;
const fieldValue = 8;
const valueEnd = 9;
const headEnd = 10;
const done = 11;

/** The beginning of a status line; `0` is any digit. */
const linePattern = Buffer.from('HTTP/0.0 000');
const [zero, nine] = [48, 57];
/** The versions that Node.js knows. */
const versions = [9, 10, 11, 20];
/** Further headers are ignored, as Node.js does. */
const headerCountLimit = 1000;

/** Parser of the head of a response and of the trailers after its body. It keeps no bytes from one read to the next. */
export class HeadParser {
  status = 0;
  headers: IncomingHttpHeaders = {};
  framing = new Framing();
  #state = start;
  /** Place in `linePattern`. */
  #at = 0;
  #version = 0;
  /** Size without separators, which is how Node.js counts. */
  #bytes = 0;
  #count = 0;
  #isTrailer = false;
  /** The beginning of a name or value that an earlier read has brought. */
  #begun = '';
  #name = '';

  get isDone(): boolean {
    return this.#state === done;
  }

  /** Whether any byte has come, besides empty lines. */
  get isBegun(): boolean {
    return this.#state !== start;
  }

  /** Starts the head of another response. */
  begin(): void {
    this.#state = start;
    this.#at = 0;
    this.#version = 0;
    this.#bytes = 0;
    this.#count = 0;
    this.#isTrailer = false;
    this.status = 0;
    this.headers = {};
    this.framing = new Framing();
  }

  /** Starts the trailers. They are checked and not kept. */
  beginTrailers(): void {
    this.#state = fieldStart;
    this.#bytes = 0;
    this.#isTrailer = true;
  }

  /** Reads on from `from`. Returns the place after the last byte that belongs to the head. @throws ParseError */
  push(bytes: Buffer, from: number, end: number): number {
    let state = this.#state;
    let at = from;
    /** Start of the text under way. */
    let textAt = from;
    for (; at < end && state !== done; at++) {
      const byte = bytes[at] as number;
      switch (state) {
        case fieldValue:
          if (isText[byte]) break;
          if (byte !== cr) fail('INVALID_HEADER_TOKEN', 'an invalid character in the value of a header');
          this.#grow(at - textAt);
          this.#add(this.#begun + bytes.toString('latin1', textAt, at));
          state = valueEnd;
          break;
        case fieldName:
          if (isToken[byte]) break;
          if (byte !== colon) fail('INVALID_HEADER_TOKEN', 'an invalid character in the name of a header');
          this.#grow(at - textAt);
          this.#name = (this.#begun + bytes.toString('latin1', textAt, at)).toLowerCase();
          this.#begun = '';
          state = valueStart;
          break;
        case valueStart:
          if (byte === space || byte === tab) break;
          textAt = at;
          if (byte === cr) {
            this.#add('');
            state = valueEnd;
          } else if (isText[byte]) state = fieldValue;
          else fail('INVALID_HEADER_TOKEN', 'an invalid character in the value of a header');
          break;
        case valueEnd:
          if (byte !== lf) fail('LF_EXPECTED', 'no line feed after a header');
          state = fieldStart;
          break;
        case fieldStart:
          textAt = at;
          if (byte === cr) state = headEnd;
          // A folded value begins with a blank.
          else if (isToken[byte]) state = fieldName;
          else fail('INVALID_HEADER_TOKEN', 'an invalid character in the name of a header');
          break;
        case headEnd:
          if (byte !== lf) fail('STRICT', 'no line feed after the headers');
          state = done;
          break;
        case start:
          if (byte === cr || byte === lf) break;
          this.#readLine(byte);
          state = line;
          break;
        case line:
          this.#readLine(byte);
          if (this.#at === linePattern.length) state = afterStatus;
          break;
        case afterStatus:
          textAt = at + 1;
          if (byte === space) state = reason;
          else if (byte === cr) state = lineEnd;
          else fail('INVALID_STATUS', 'an invalid status');
          break;
        case reason:
          if (byte === lf) fail('CR_EXPECTED', 'no carriage return after the status');
          if (byte !== cr) break;
          this.#grow(at - textAt);
          state = lineEnd;
          break;
        case lineEnd:
          if (byte !== lf) fail('STRICT', 'no line feed after the status');
          state = fieldStart;
          break;
      }
    }
    this.#state = state;
    if (state === reason) this.#grow(end - textAt);
    else if (state === fieldName || state === fieldValue) {
      this.#grow(end - textAt);
      this.#begun += bytes.toString('latin1', textAt, end);
    }
    if (state === done && !this.#isTrailer) this.framing.end(this.status, this.#version);
    return at;
  }

  #readLine(byte: number): void {
    const expected = linePattern[this.#at];
    if (expected === zero ? byte < zero || byte > nine : byte !== expected)
      fail('INVALID_CONSTANT', 'it does not begin as a response');
    if (expected === zero) {
      if (this.#at > 8) this.status = 10 * this.status + byte - zero;
      else this.#version = 10 * this.#version + byte - zero;
    }
    if (++this.#at === 8 && !versions.includes(this.#version))
      fail('INVALID_VERSION', 'an unknown version of HTTP');
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= maxHeaderSize) throw new ParseError('HPE_HEADER_OVERFLOW', 'its head is too long');
  }

  #add(value: string): void {
    this.#begun = '';
    this.framing.read(this.#name, value);
    if (!this.#isTrailer && this.#count++ < headerCountLimit)
      addHeader(this.headers, this.#name, value.replace(/[ \t]+$/, ''));
  }
}

function fail(kind: string, message: string): never {
  throw new ParseError(`HPE_${kind}`, message);
}
