const carriageReturn = 13;
const headEnd = '\r\n\r\n';

/** Reads HTTP/1.1 answers with chunked bodies, one after the other, as their bytes arrive. */
export class ChunkedReader {
  #state = 'head';
  #held;
  /** Bytes of a chunk that are still to come. */
  #left = 0;
  #onData;
  #onEnd;

  /** Calls `onData(bytes, from, to)` for each part of a body, and `onEnd()` after its last one. */
  constructor(onData, onEnd = () => {}) {
    this.#onData = onData;
    this.#onEnd = onEnd;
  }

  /** Takes the first `length` of `bytes`, which may be overwritten afterwards. */
  read(bytes, length) {
    let all = bytes;
    let end = length;
    if (this.#held) {
      all = Buffer.concat([this.#held, bytes.subarray(0, length)]);
      end = all.length;
      this.#held = undefined;
    }
    let at = 0;
    while (at < end) {
      const next = this.#step(all, at, end);
      if (next === undefined) {
        this.#held = Buffer.from(all.subarray(at, end));
        return;
      }
      at = next;
    }
  }

  /** Where to go on; undefined when more has to come first. */
  #step(bytes, at, end) {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes, at, end);
      case 'size':
        return this.#size(bytes, at, end);
      case 'data':
        return this.#data(bytes, at, end);
      default:
        return this.#lineBreak(at, end);
    }
  }

  #head(bytes, at, end) {
    const to = bytes.indexOf(headEnd, at) + headEnd.length;
    if (to < headEnd.length || to > end) return undefined;
    this.#state = 'size';
    return to;
  }

  #size(bytes, at, end) {
    let size = 0;
    let to = at;
    for (; to < end && bytes[to] !== carriageReturn; to++) size = size * 16 + hexDigit(bytes[to]);
    if (to + 2 > end) return undefined;
    this.#left = size;
    this.#state = size > 0 ? 'data' : 'last';
    return to + 2;
  }

  #data(bytes, at, end) {
    const to = Math.min(end, at + this.#left);
    this.#left -= to - at;
    if (this.#left === 0) this.#state = 'next';
    this.#onData(bytes, at, to);
    return to;
  }

  /** After the data of a chunk, and after the chunk without data. */
  #lineBreak(at, end) {
    if (at + 2 > end) return undefined;
    if (this.#state === 'next') this.#state = 'size';
    else {
      this.#state = 'head';
      this.#onEnd();
    }
    return at + 2;
  }
}

function hexDigit(code) {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  if (letter >= 97 && letter <= 102) return letter - 87;
  throw new Error(`not the size of a chunk: ${String.fromCharCode(code)}`);
}
