import { once } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Connection } from './connection.js';
import { type Dialect, dialectOf } from './dialect.js';
import { goJson } from './json.js';
import type { Delta, Ending } from './lines.js';
import type { ModeName } from './mode-name.js';
import { pause } from './pause.js';
import type { OwnRecord, RequestLog } from './records.js';
import type { GenerationRequest } from './request.js';

const jsonType = 'application/json; charset=utf-8';

/** The answer to one request; every method throws once the peer is gone. */
export class Reply {
  readonly #response: ServerResponse;
  readonly #log: RequestLog;
  readonly record: OwnRecord;
  readonly connection: Connection;
  readonly #dialect: Dialect;
  #lineCount = 0;
  #request: GenerationRequest | undefined;

  constructor(response: ServerResponse, connection: Connection, record: OwnRecord, log: RequestLog) {
    this.#response = response;
    this.connection = connection;
    this.record = record;
    this.#dialect = dialectOf(record.path);
    this.#log = log;
    // As the real server: no `Connection` header on a connection that stays open.
    if (response.shouldKeepAlive) response.removeHeader('connection');
  }

  /** Aborts when the socket closed. */
  get gone(): AbortSignal {
    return this.connection.gone;
  }

  /** Names the request that the lines answer. */
  answers(request: GenerationRequest): void {
    this.#request = request;
  }

  /** Names the mode that answers. */
  playedBy(mode: ModeName): void {
    this.record.mode = mode;
    this.#log.changed();
  }

  /** Waits, at least one turn of the event loop. */
  async pause(ms: number): Promise<void> {
    await pause(ms, this.gone);
  }

  /** Waits until the socket closes. */
  async hang(): Promise<never> {
    if (!this.gone.aborted) await once(this.gone, 'abort');
    throw this.gone.reason;
  }

  /** Sends the headers of a stream on their own. */
  flushHeaders(): void {
    this.#openStream();
    this.#response.flushHeaders();
    this.record.atMs.headersSent = performance.now();
    this.#log.changed();
  }

  /** The text of one line, newline included; not the last one unless `ending` says so. */
  render(delta: Delta, ending: Ending = { done: false }): string {
    return this.#dialect.render(this.#request, delta, ending);
  }

  /** The ending of a final line, with its usage. */
  ending(reason = 'stop'): Ending {
    return {
      done: true,
      reason,
      usage: { prompt: this.#request?.promptTokens ?? 0, answer: this.#lineCount },
    };
  }

  /** Sends one line. */
  async line(delta: Delta, ending?: Ending): Promise<void> {
    await this.bytes(this.render(delta, ending), 1);
  }

  /** Sends the final line and ends the answer. */
  async done(reason = 'stop', delta: Delta = {}): Promise<void> {
    await this.line(delta, this.ending(reason));
    await this.end();
  }

  /** Ends the answer cleanly. */
  async end(): Promise<void> {
    if (this.#response.headersSent) await this.#finish(undefined);
    else await this.whole(200, this.#dialect.streamType, '');
  }

  /** Sends any JSON as a line of the stream. */
  async jsonLine(value: object): Promise<void> {
    await this.frame(goJson(value));
  }

  /** Sends any text in the place of a line. */
  async frame(text: string): Promise<void> {
    await this.bytes(this.#dialect.frame(text), 1);
  }

  /** Sends bytes of a stream as they are, in one write. */
  async bytes(data: string | Uint8Array, lines = 0): Promise<void> {
    this.gone.throwIfAborted();
    this.#openStream();
    this.#lineCount += lines;
    const chunk = Buffer.from(data);
    await this.#handOver(chunk.length, lines, (sent) => this.#response.write(chunk, sent));
  }

  /** Sends one JSON object as the whole answer. */
  async object(value: object): Promise<void> {
    await this.whole(200, jsonType, goJson(value));
  }

  /** Sends an error body. */
  async error(status: number, text: string, headers?: OutgoingHttpHeaders): Promise<void> {
    await this.whole(status, jsonType, goJson(this.#dialect.error(text, status)), headers);
  }

  /** Sends a whole answer with `Content-Length`; without a type it has no body. */
  async whole(
    status: number,
    type: string | undefined,
    body: string,
    headers?: OutgoingHttpHeaders,
  ): Promise<void> {
    this.gone.throwIfAborted();
    const bytes = Buffer.from(body);
    this.#response.writeHead(status, {
      ...headers,
      ...(type !== undefined && { 'Content-Type': type }),
      'Content-Length': bytes.length,
    });
    await this.#finish(bytes);
  }

  /** Writes to the socket past the HTTP layer. */
  async rawBytes(data: string): Promise<void> {
    this.gone.throwIfAborted();
    const chunk = Buffer.from(data, 'latin1');
    await this.#handOver(chunk.length, 0, (sent) => this.connection.socket.write(chunk, sent));
  }

  #openStream(): void {
    if (!this.#response.headersSent) {
      this.#response.writeHead(200, { 'Content-Type': this.#dialect.streamType });
    }
  }

  /** Resolves when the operating system has the bytes; that is also the back-pressure. */
  async #handOver(
    bytes: number,
    lines: number,
    write: (sent: (error?: Error | null) => void) => void,
  ): Promise<void> {
    const { atMs } = this.record;
    const now = performance.now();
    atMs.headersSent ??= now;
    if (bytes > 0) atMs.firstByteSent ??= now;
    await this.#untilGone((resolve) => {
      write((error) => {
        // A failed write closes the socket, which ends the wait.
        if (error) return;
        if (bytes > 0) atMs.lastByteSent = performance.now();
        this.record.bytes += bytes;
        this.record.lines += lines;
        resolve();
        this.#log.changed();
      });
    });
  }

  async #finish(body: Buffer | undefined): Promise<void> {
    const send = (resolve: () => void): void => {
      this.#response.once('finish', () => {
        this.record.finished = true;
        this.record.endedBy ??= 'fake';
        resolve();
      });
    };
    const size = body?.length ?? 0;
    await this.#handOver(size, size > 0 ? 1 : 0, (sent) => {
      send(sent);
      this.#response.end(body);
    });
  }

  #untilGone(start: (resolve: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onGone = (): void => reject(this.gone.reason);
      this.gone.addEventListener('abort', onGone, { once: true });
      start(() => {
        this.gone.removeEventListener('abort', onGone);
        resolve();
      });
    });
  }
}
