/** Tasks by `POST /tasks/{name}?wait=` on kept connections, each with one request at a time. */
import { connect } from 'node:net';
import { serveRuns } from './driver.mjs';

const free = [];

class Caller {
  #held = '';
  #resolve;
  #socket = connect({ host: '127.0.0.1', port: Number(process.env.SERVER_PORT), noDelay: true });

  constructor() {
    this.#socket.setEncoding('latin1').on('data', (text) => this.#read(text));
  }

  call(input) {
    const body = JSON.stringify({ input });
    this.#socket.write(
      'POST /tasks/bench:spin?wait=5000 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  #read(text) {
    this.#held += text;
    const head = this.#held.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/content-length: *(\d+)/i.exec(this.#held)?.[1] ?? 0);
    if (this.#held.length < head + 4 + length) return;
    const { output } = JSON.parse(this.#held.slice(head + 4, head + 4 + length));
    this.#held = '';
    free.push(this);
    this.#resolve(output);
  }
}

serveRuns((us) => (free.pop() ?? new Caller()).call(us));
