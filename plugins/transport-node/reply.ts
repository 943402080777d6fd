import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Headers } from '#kernel';
import { BaseReply, type Opening, type ReplyHost, type Request } from '#sdk/http';
import { BodyPace } from './body-pace.js';

/** Called before a response that ends its connection. */
export type Closing = (socket: Socket) => void;

/** The response to one request of `node:http`. */
export class NodeReply extends BaseReply {
  readonly #res: ServerResponse;
  readonly #stallTimeoutMs: number;
  readonly #upgrade: ((opening: Opening) => void) | undefined;
  readonly #closing: Closing;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    request: Request,
    host: ReplyHost,
    closing: Closing,
    upgrade: ((opening: Opening) => void) | undefined,
  ) {
    super(request, host);
    this.#res = res;
    this.#stallTimeoutMs = host.stallTimeoutMs;
    this.#closing = closing;
    this.#upgrade = upgrade;
    res.on('close', () => this.closed());
    res.on('drain', () => this.writable());
    if (request.hasBody) this.#read(req);
    // An unread body would block the next request.
    else req.resume();
  }

  protected end(
    status: number,
    headers: Headers,
    body: string | Uint8Array | undefined,
    close: boolean,
  ): void {
    const res = this.#res;
    if (close) this.#endConnection();
    const length = body === undefined ? undefined : { 'content-length': Buffer.byteLength(body) };
    res.writeHead(status, { ...headers, ...length });
    res.end(body);
    this.#watchEnd();
  }

  protected begin(status: number, headers: Headers, part: string, close: boolean): boolean {
    if (close) this.#endConnection();
    this.#res.writeHead(status, headers);
    return part === '' || this.write(part);
  }

  protected write(part: string): boolean {
    return this.#res.write(part);
  }

  protected finish(): void {
    this.#res.end();
    this.#watchEnd();
  }

  protected destroy(): void {
    this.#res.destroy();
  }

  protected handOver(opening: Opening): void {
    this.#upgrade?.(opening);
  }

  #read(req: IncomingMessage): void {
    const pace = new BodyPace(() => this.cut());
    req.on('data', (chunk: Buffer) => {
      pace.received(chunk.byteLength);
      this.data(chunk, false);
    });
    req.on('end', () => {
      pace.end();
      this.request.body.end();
    });
    req.on('close', () => pace.end());
  }

  #endConnection(): void {
    this.#res.shouldKeepAlive = false;
    if (this.#res.socket) this.#closing(this.#res.socket);
  }

  /** Destroys the socket of a client that does not read the end of its response. */
  #watchEnd(): void {
    this.#res.setTimeout(this.#stallTimeoutMs, () => this.#res.destroy());
  }
}
