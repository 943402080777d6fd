import type { IncomingHttpHeaders } from 'node:http';
import { BodyRange } from './body-range.js';
import { cr, lf } from './bytes.js';
import { ChunkParser } from './chunk-parser.js';
import { HeadParser } from './head-parser.js';
import { ParseError } from './parse-error.js';

// The states.
const head = 0;
const chunks = 1;
const trailers = 2;
const sized = 3;
const endless = 4;
const closed = 5;
const complete = 6;

/** Parser of responses, one after the other, as strict as that of Node.js. It keeps no bytes from one read to the next. */
export class ResponseParser {
  /** The part of the last read that belongs to the body. */
  readonly body = new BodyRange();
  readonly #head = new HeadParser();
  readonly #chunks = new ChunkParser();
  #state = complete;
  #left = 0;

  get status(): number {
    return this.#head.status;
  }

  get headers(): IncomingHttpHeaders {
    return this.#head.headers;
  }

  /** Whether `status` and `headers` are known. */
  get hasHead(): boolean {
    return this.#state !== head && this.#state !== closed;
  }

  get isComplete(): boolean {
    return this.#state === complete;
  }

  /** Whether the connection may serve another request. */
  get keepAlive(): boolean {
    return this.#head.framing.keepAlive;
  }

  /** Whether the connection switches to another protocol. */
  get isSwitch(): boolean {
    return this.#head.framing.isSwitch;
  }

  /** Starts the next response. */
  begin(): void {
    this.#state = head;
    this.#head.begin();
  }

  /** Reads the first `end` bytes. Returns whether all of them belong to the response. @throws ParseError */
  push(bytes: Buffer, end: number): boolean {
    const { body } = this;
    body.clear();
    let at = 0;
    while (at < end) {
      switch (this.#state) {
        case head:
          at = this.#head.push(bytes, at, end);
          if (this.#head.isDone) this.#afterHead();
          break;
        case chunks:
          at = this.#chunks.push(bytes, at, end, body);
          if (this.#chunks.isDone) {
            this.#state = trailers;
            this.#head.beginTrailers();
          }
          break;
        case trailers:
          at = this.#head.push(bytes, at, end);
          if (this.#head.isDone) this.#state = complete;
          break;
        case sized: {
          const bodyEndsAt = Math.min(end, at + this.#left);
          body.add(bytes, at, bodyEndsAt);
          this.#left -= bodyEndsAt - at;
          at = bodyEndsAt;
          if (this.#left === 0) this.#state = complete;
          break;
        }
        case endless:
          body.add(bytes, at, end);
          at = end;
          break;
        case closed:
          if (bytes[at] !== cr && bytes[at] !== lf)
            throw new ParseError('HPE_CLOSED_CONNECTION', 'data after "Connection: close"');
          at++;
          break;
        default:
          // Empty lines may follow a response.
          if (bytes[at] !== cr && bytes[at] !== lf) return false;
          at++;
      }
    }
    return true;
  }

  /** The connection has ended. Returns whether the response is complete. */
  end(): boolean {
    if (this.#state === endless) this.#state = complete;
    return this.#state === complete;
  }

  #afterHead(): void {
    const { status, framing } = this.#head;
    // An informational response precedes the real one.
    if (status >= 100 && status < 200 && status !== 101) {
      this.#state = framing.keepAlive ? head : closed;
      return void this.#head.begin();
    }
    if (framing.length === 0) this.#state = complete;
    else if (framing.isChunked) {
      this.#state = chunks;
      this.#chunks.begin();
    } else if (framing.length === undefined) this.#state = endless;
    else {
      this.#state = sized;
      this.#left = framing.length;
    }
  }
}
