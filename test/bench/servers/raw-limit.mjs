/** As proxy-limit without an HTTP client: `net` sockets that read into one buffer, and a reader of chunks. */
import { connect } from 'node:net';
import { ChunkedReader } from '../client/chunked-reader.mjs';
import { LineReader } from '../client/line-reader.mjs';
import { endOf, newStreamId, prefixOf, startOf } from './frame.mjs';
import { contentOf, requestOf } from './ollama-line.mjs';
import { decode, serve, socketOptions } from './uws-listen.mjs';

const readBuffer = Buffer.allocUnsafe(256 * 1024);
const idle = [];

/** A kept connection to Ollama, with one answer at a time. */
class Upstream {
  #ws;
  #streamId;
  #prefix;
  #frames = [];
  #lines = new LineReader((bytes, from, to) => {
    const json = contentOf(bytes.utf8Slice(from, to));
    this.#frames.push(json === undefined ? JSON.stringify(endOf(this.#streamId)) : `${this.#prefix}${json}}`);
  });
  #reader = new ChunkedReader(
    (bytes, from, to) => this.#lines.read(bytes, from, to),
    () => idle.push(this),
  );
  #socket = connect({
    host: '127.0.0.1',
    port: Number(process.env.OLLAMA_PORT),
    noDelay: true,
    onread: {
      buffer: readBuffer,
      callback: (length) => {
        this.#reader.read(readBuffer, length);
        this.#ws.cork(this.#send);
        this.#frames = [];
        return true;
      },
    },
  });
  #send = () => {
    for (const frame of this.#frames) this.#ws.send(frame);
  };

  ask(ws, content) {
    this.#ws = ws;
    this.#streamId = newStreamId();
    this.#prefix = prefixOf(this.#streamId);
    this.#frames.push(JSON.stringify(startOf(this.#streamId)));
    const body = requestOf(content);
    this.#socket.write(
      'POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
}

serve((app) =>
  app.ws('/ws/:id', {
    ...socketOptions,
    message: (ws, message) => (idle.pop() ?? new Upstream()).ask(ws, JSON.parse(decode(message)).content),
  }),
);
