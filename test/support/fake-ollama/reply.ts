import { once } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Connection } from './connection.js';
import { type Delta, dialectOf, type Ending, goJson } from './dialect.js';
import type { GenerationRequest } from './models.js';
import type { OwnRecord } from './record.js';

type Sent = (error?: Error | null) => void;

/** The answer to one request; every method throws once the peer is gone. */
export class Reply {
  readonly #response: ServerResponse;
  readonly #changed: () => void;
  readonly #dialect;
  readonly record: OwnRecord;
  readonly connection: Connection;
  /** The request that the lines answer. */
  request: GenerationRequest | undefined;
  /** The way of a line to the socket. */
  send = (line: string): Promise<void> => this.bytes(line, 1);

  constructor(response: ServerResponse, connection: Connection, record: OwnRecord, changed: () => void) {
    this.#response = response;
    this.connection = connection;
    this.record = record;
    this.#dialect = dialectOf(record.path);
    this.#changed = changed;
    // As the real server: no `Connection` header on a connection that stays open.
    if (response.shouldKeepAlive) response.removeHeader('connection');
  }

  /** Waits; zero still gives the event loop a turn, so an endless stream cannot starve it. */
  async pause(ms: number): Promise<void> {
    const { gone: signal } = this.connection;
    await (ms > 0 ? setTimeout(ms, undefined, { signal }) : setImmediate(undefined, { signal }));
  }

  /** Waits until the socket closes. */
  async hang(): Promise<never> {
    const { gone } = this.connection;
    if (!gone.aborted) await once(gone, 'abort');
    throw gone.reason;
  }

  /** Sends the headers of a stream on their own. */
  flushHeaders(): void {
    this.#openStream();
    this.#response.flushHeaders();
  }

  /** The text of one line, newline included. */
  render(delta: Delta, ending: Ending = { done: false }): string {
    return this.#dialect.render(this.request?.model, delta, ending);
  }

  /** Sends one line. */
  async line(delta: Delta, ending?: Ending): Promise<void> {
    await this.send(this.render(delta, ending));
  }

  /** Sends the final line, with its usage. */
  async lastLine(reason: string, delta: Delta = {}): Promise<void> {
    const usage = { prompt: this.request?.promptTokens ?? 0, answer: this.record.lines };
    await this.line(delta, { done: true, reason, usage });
  }

  /** Ends the answer cleanly. */
  async end(): Promise<void> {
    if (this.#response.headersSent) await this.#finish();
    else await this.whole(200, this.#dialect.streamType, '');
  }

  /** Sends any text in the place of a line. */
  async frame(text: string): Promise<void> {
    await this.bytes(this.#dialect.frame(text), 1);
  }

  /** Sends bytes of a stream as they are, in one write. */
  async bytes(data: string | Uint8Array, lines = 0): Promise<void> {
    this.connection.gone.throwIfAborted();
    this.#openStream();
    const chunk = Buffer.from(data);
    await this.#handOver(chunk.length, lines, (sent) => this.#response.write(chunk, sent));
  }

  /** Sends an error body. */
  async error(status: number, text: string, headers?: OutgoingHttpHeaders): Promise<void> {
    await this.json(status, this.#dialect.error(text, status), headers);
  }

  /** Sends one JSON object as the whole answer. */
  async json(status: number, value: object, headers?: OutgoingHttpHeaders): Promise<void> {
    await this.whole(status, 'application/json; charset=utf-8', goJson(value), headers);
  }

  /** Sends a whole answer with `Content-Length`; without a type it has no body. */
  async whole(
    status: number,
    type: string | undefined,
    body: string,
    headers?: OutgoingHttpHeaders,
  ): Promise<void> {
    this.connection.gone.throwIfAborted();
    const bytes = Buffer.from(body);
    this.#response.writeHead(status, {
      ...headers,
      ...(type !== undefined && { 'Content-Type': type }),
      'Content-Length': bytes.length,
    });
    await this.#finish(bytes);
  }

  /** Writes to the socket past the HTTP layer. */
  async raw(data: string): Promise<void> {
    const chunk = Buffer.from(data, 'latin1');
    await this.#handOver(chunk.length, 0, (sent) => this.connection.socket.write(chunk, sent));
  }

  #openStream(): void {
    if (!this.#response.headersSent)
      this.#response.writeHead(200, { 'Content-Type': this.#dialect.streamType });
  }

  async #finish(body = Buffer.alloc(0)): Promise<void> {
    await this.#handOver(body.length, body.length > 0 ? 1 : 0, (sent) =>
      this.#response.end(body, () => sent()),
    );
    this.record.finished = true;
    this.record.endedBy ??= 'fake';
    this.#changed();
  }

  /** Resolves when the operating system has the bytes; that is also the back-pressure. */
  async #handOver(bytes: number, lines: number, write: (sent: Sent) => void): Promise<void> {
    const { record } = this;
    const { gone } = this.connection;
    gone.throwIfAborted();
    if (bytes > 0) record.atMs.firstByteSent ??= performance.now();
    await new Promise<void>((resolve, reject) => {
      const onGone = () => reject(gone.reason);
      gone.addEventListener('abort', onGone, { once: true });
      write((error) => {
        // A failed write closes the socket, which ends the wait.
        if (error) return;
        gone.removeEventListener('abort', onGone);
        resolve();
      });
    });
    record.bytes += bytes;
    record.lines += lines;
    this.#changed();
  }
}
