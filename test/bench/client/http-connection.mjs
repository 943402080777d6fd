import { connect } from 'node:net';

const readBuffer = Buffer.allocUnsafe(256 * 1024);
const chunkSize = /^[0-9a-f]{1,8}$/i;
const lineFeed = 10;
const brace = '{'.charCodeAt(0);
const dataPrefix = 'data: '.length;

/** One raw HTTP connection, with one answer at a time. It knows chunks and lines, and takes frames out of these. */
export class HttpConnection {
  /** Called as `(bytes, from, to)` for each frame. */
  onText = () => {};
  onClosed = () => {};
  #held;
  /** Of a line that goes on in the next chunk or read. */
  #heldLine;
  #state = 'head';
  /** Bytes of a chunk that are still to come. */
  #left = 0;
  #socket;

  static open(port) {
    const connection = new HttpConnection();
    return new Promise((resolve, reject) => {
      const onread = {
        buffer: readBuffer,
        callback: (length) => {
          connection.#read(length);
          return true;
        },
      };
      const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread }, () => resolve(connection));
      socket.on('error', reject).on('close', () => connection.onClosed());
      connection.#socket = socket;
    });
  }

  send(text) {
    this.#socket.write(text);
  }

  drop() {
    this.#socket.resetAndDestroy();
  }

  #read(length) {
    let bytes = readBuffer;
    let end = length;
    if (this.#held) {
      bytes = Buffer.concat([this.#held, readBuffer.subarray(0, length)]);
      end = bytes.length;
      this.#held = undefined;
    }
    let at = 0;
    while (at < end) {
      const next = this.#step(bytes, at, end);
      if (next === undefined) break;
      at = next;
    }
    if (at < end) this.#held = Buffer.from(bytes.subarray(at, end));
  }

  /** Where to go on; undefined when more has to come first. */
  #step(bytes, at, end) {
    if (this.#state === 'data') {
      const to = Math.min(end, at + this.#left);
      this.#lines(bytes, at, to);
      this.#left -= to - at;
      if (this.#left === 0) this.#state = 'size';
      return to;
    }
    if (this.#state === 'last') {
      if (end - at < 2) return undefined;
      this.#state = 'head';
      return at + 2;
    }
    const separator = this.#state === 'head' ? '\r\n\r\n' : '\n';
    const to = bytes.indexOf(separator, at);
    if (to < 0 || to + separator.length > end) return undefined;
    if (this.#state === 'head') this.#state = 'size';
    else {
      const line = bytes.latin1Slice(at, to).trim();
      const size = Number.parseInt(line, 16);
      // What follows the data of a chunk is an empty line.
      if (line !== '' && !chunkSize.test(line)) throw new Error(`not the head of a chunk: ${line}`);
      if (size === 0) this.#state = 'last';
      else if (size > 0) {
        this.#state = 'data';
        this.#left = size;
      }
    }
    return to + separator.length;
  }

  #lines(part, start, stop) {
    let bytes = part;
    let at = start;
    let end = stop;
    if (this.#heldLine) {
      bytes = Buffer.concat([this.#heldLine, part.subarray(start, stop)]);
      at = 0;
      end = bytes.length;
      this.#heldLine = undefined;
    }
    for (;;) {
      const to = bytes.indexOf(lineFeed, at);
      if (to < 0 || to >= end) break;
      if (bytes[at] === brace) this.onText(bytes, at, to);
      else if (bytes[at + dataPrefix] === brace) this.onText(bytes, at + dataPrefix, to);
      at = to + 1;
    }
    if (at < end) this.#heldLine = Buffer.from(bytes.subarray(at, end));
  }
}
