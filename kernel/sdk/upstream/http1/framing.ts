import { ParseError } from './parse-error.js';

const closing = /(^|,)[ \t]*close *(,|$)/i;
const keeping = /(^|,)[ \t]*keep-alive *(,|$)/i;
const upgrading = /(^|,)[ \t]*upgrade *(,|$)/i;

/** How the body of a response ends, and whether its connection does, according to the head. */
export class Framing {
  /** Length of the body in bytes; undefined for one that ends otherwise. */
  length: number | undefined;
  isChunked = false;
  #version = 0;
  #isSwitch = false;
  #hasEncoding = false;
  #hasUpgrade = false;
  #closes = false;
  #keeps = false;
  #upgrades = false;

  /** Whether the connection may serve another request. */
  get keepAlive(): boolean {
    if (this.#isSwitch || !(this.isChunked || this.length !== undefined)) return false;
    return this.#version === 11 ? !this.#closes : this.#keeps;
  }

  /** Whether the connection switches to another protocol. */
  get isSwitch(): boolean {
    return this.#isSwitch && this.#hasUpgrade && this.#upgrades;
  }

  /** Reads a header. `value` may end with blanks. @throws ParseError for contradictions */
  read(name: string, value: string): void {
    switch (name) {
      case 'content-length':
        if (this.#hasEncoding) throw invalid('CONTENT_LENGTH', 'Content-Length beside Transfer-Encoding');
        if (this.length !== undefined)
          throw new ParseError('HPE_UNEXPECTED_CONTENT_LENGTH', 'a second Content-Length');
        this.length = lengthIn(value);
        break;
      case 'transfer-encoding':
        if (this.length !== undefined)
          throw invalid('TRANSFER_ENCODING', 'Transfer-Encoding beside Content-Length');
        this.#hasEncoding = true;
        this.isChunked = /(^|,[ \t]*)chunked *$/i.test(value);
        break;
      case 'connection':
      case 'proxy-connection':
        this.#closes ||= closing.test(value);
        this.#keeps ||= keeping.test(value);
        this.#upgrades ||= upgrading.test(value);
        break;
      case 'upgrade':
        this.#hasUpgrade ||= value !== '';
        break;
    }
  }

  /** Ends the head. `version` is 11 for HTTP/1.1. */
  end(status: number, version: number): void {
    this.#version = version;
    this.#isSwitch = status === 101;
    const isBodiless = (status >= 100 && status < 200) || status === 204 || status === 304;
    if (!isBodiless) return;
    this.length = 0;
    this.isChunked = false;
  }
}

function lengthIn(value: string): number {
  const length = /^\d+ *$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(length)) throw invalid('CONTENT_LENGTH', 'an invalid Content-Length');
  return length;
}

function invalid(kind: string, message: string): ParseError {
  return new ParseError(`HPE_INVALID_${kind}`, message);
}
