import { connect } from 'node:net';

const readBuffer = Buffer.allocUnsafe(256 * 1024);
const lineFeed = 10;
const brace = '{'.charCodeAt(0);
const letterD = 'd'.charCodeAt(0);
const colon = ':'.charCodeAt(0);
const dataPrefix = 'data: '.length;

/**
 * One raw HTTP connection. Lines that carry a frame are found in the bytes as they are: every server here ends its chunks
 * with a line, so that the heads of chunks are lines of their own, which begin differently.
 */
export class HttpConnection {
  /** Called as `(bytes, from, to)` for each frame. */
  onText = () => {};
  onClosed = () => {};
  #held;
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
    for (;;) {
      const to = bytes.indexOf(lineFeed, at);
      if (to < 0 || to >= end) break;
      if (bytes[at] === brace) this.onText(bytes, at, to);
      else if (bytes[at] === letterD && bytes[at + 4] === colon) this.onText(bytes, at + dataPrefix, to);
      at = to + 1;
    }
    if (at < end) this.#held = Buffer.from(bytes.subarray(at, end));
  }
}
