import { connect } from 'node:net';
import { ChunkedReader } from './chunked-reader.mjs';
import { LineReader } from './line-reader.mjs';

const readBuffer = Buffer.allocUnsafe(256 * 1024);
const brace = '{'.charCodeAt(0);
const dataPrefix = 'data: '.length;

/** One raw HTTP connection, with one answer at a time. It knows chunks and lines, and takes frames out of these. */
export class HttpConnection {
  /** Called as `(bytes, from, to)` for each frame. */
  onText = () => {};
  onClosed = () => {};
  #lines = new LineReader((bytes, from, to) => {
    if (bytes[from] === brace) this.onText(bytes, from, to);
    else if (bytes[from + dataPrefix] === brace) this.onText(bytes, from + dataPrefix, to);
  });
  #reader = new ChunkedReader((bytes, from, to) => this.#lines.read(bytes, from, to));
  #socket;

  static open(port) {
    const connection = new HttpConnection();
    return new Promise((resolve, reject) => {
      const onread = {
        buffer: readBuffer,
        callback: (length) => {
          connection.#reader.read(readBuffer, length);
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
}
