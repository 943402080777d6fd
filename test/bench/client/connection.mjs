import { connect } from 'node:net';
import { dialects, eachFrame, maskedFrame } from './frames.mjs';

const readBuffer = Buffer.allocUnsafe(256 * 1024);
/** The frame of the last text: connections that ask again send the same one. */
let sent = { text: undefined, frame: undefined };

/** One raw WebSocket connection. All of them read into the same buffer: what is held back is copied out. */
export class RawConnection {
  /** Called as `(bytes, from, to)` for each text frame. */
  onText = () => {};
  onClosed = () => {};
  #held;
  #socket;
  #dialect;
  #opened;
  #failed;

  /** Resolves when the handshake is through, that of the dialect included. */
  static open(port, path, dialectName) {
    const connection = new RawConnection();
    connection.#dialect = dialects[dialectName];
    return new Promise((resolve, reject) => {
      connection.#opened = () => resolve(connection);
      connection.#failed = reject;
      connection.#connect(port, path);
    });
  }

  send(text) {
    if (sent.text !== text) sent = { text, frame: maskedFrame(text) };
    this.#socket.write(sent.frame);
  }

  /** Reads nothing from now on. */
  sleep() {
    this.#socket.pause();
  }

  /** Without a goodbye, as a network does it. */
  drop() {
    this.#socket.resetAndDestroy();
  }

  #connect(port, path) {
    const onread = {
      buffer: readBuffer,
      callback: (length) => {
        this.#read(length);
        return true;
      },
    };
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true, onread }, () =>
      this.#socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      ),
    );
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('close', () => {
      this.#failed(new Error('closed during the handshake'));
      this.onClosed();
    });
    this.#state = 'handshake';
  }

  #state;
  #toOpen = 0;

  #read(length) {
    let bytes = readBuffer;
    let end = length;
    if (this.#held) {
      bytes = Buffer.concat([this.#held, readBuffer.subarray(0, length)]);
      end = bytes.length;
      this.#held = undefined;
    }
    if (this.#state === 'handshake') {
      const head = bytes.subarray(0, end).indexOf('\r\n\r\n');
      if (head < 0) return this.#hold(bytes, 0, end);
      const status = bytes.subarray(9, 12).toString();
      if (status !== '101') return this.#failed(new Error(`the handshake was answered with ${status}`));
      bytes = bytes.subarray(head + 4, end);
      end = bytes.length;
      this.#state = 'open';
      // Socket.IO says hello first, and wants to be greeted back.
      this.#toOpen = this.#dialect.open.length * 2;
      if (this.#toOpen === 0) this.#opened();
    }
    const rest = eachFrame(bytes, end, this.#frame);
    if (rest < end) this.#hold(bytes, rest, end);
  }

  #frame = (opcode, bytes, from, to) => {
    if (opcode === 1) {
      if (this.#toOpen > 0) return this.#greet();
      // The heartbeat of Socket.IO.
      if (to - from === 1) return this.send('3');
      this.onText(bytes, from, to);
    } else if (opcode === 9) this.#socket.write(maskedFrame('', 10));
  };

  #greet() {
    this.#toOpen--;
    if (this.#toOpen === 1) this.send(this.#dialect.open[0]);
    else this.#opened();
  }

  #hold(bytes, from, to) {
    this.#held = Buffer.from(bytes.subarray(from, to));
  }
}
