import type uWS from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import type { Headers } from '#kernel';
import { BaseReply, Lingering, type Opening, type ReplyHost, type Request } from '#sdk/http';
import { UwsConnection } from './connection.js';
import type { GluedRequests } from './glued-requests.js';

const nothing = () => {};
/** A shorter body has usually come with its head. */
const lingerAboveBytes = 64 * 1024;

/** The response to one request of uWebSockets.js, whose object must not be touched after its end or an abort. */
export class UwsReply extends BaseReply {
  readonly #res: uWS.HttpResponse;
  readonly #context: uWS.us_socket_context_t | undefined;
  readonly #glued: GluedRequests;
  #gone = false;
  /** Whether the native layer has read the whole body. */
  #isRead = false;
  #lingering: Lingering | undefined;

  constructor(
    res: uWS.HttpResponse,
    request: Request,
    host: ReplyHost,
    glued: GluedRequests,
    context: uWS.us_socket_context_t | undefined,
  ) {
    super(request, host);
    this.#res = res;
    this.#context = context;
    this.#glued = glued;
    // The native parser accepts malformed chunk endings, so that later bytes cannot be trusted.
    if (request.header('transfer-encoding') !== undefined) this.closeAfter();
  }

  /** The client has gone. */
  aborted(): void {
    this.#gone = true;
    this.#lingering?.stop();
    this.closed();
  }

  /** Must be called before the handler of the native layer returns, or the body is lost. */
  readBody(): void {
    this.#res.onData((chunk, last) => {
      this.#glued.reads(this.request);
      this.#isRead = last;
      if (!this.#lingering) this.data(Buffer.from(chunk), last);
      // Not at once: the response may wait for the end of this call.
      else if (last) setImmediate(() => this.#leave());
      else this.#lingering.received(chunk.byteLength);
    });
  }

  protected end(
    status: number,
    headers: Headers,
    body: string | Uint8Array | undefined,
    close: boolean,
  ): void {
    const res = this.#res;
    const isHead = this.request.method === 'HEAD';
    if (close && this.#isSending && typeof body === 'string' && !isHead)
      this.#endAndLinger(status, headers, body);
    // A bare end closes a little later, which is too late where no later request may run.
    else if ((body === undefined || isHead) && !(close && this.isMistrusted)) {
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      this.#endBare(status, { ...headers, ...length }, close);
    } else {
      if (close) this.#glued.forbid(this.request);
      // The native layer adds the header, except for a client that has sent it itself.
      const isAsked = close && this.request.header('connection')?.length === 'close'.length;
      res.cork(() => {
        this.#writeHead(status, isAsked ? { ...headers, connection: 'close' } : headers);
        res.end(body === undefined || isHead ? '' : body, close);
      });
    }
    this.closed();
  }

  protected begin(status: number, headers: Headers, part: string, close: boolean): boolean {
    const res = this.#res;
    res.onWritable(() => {
      // With a handler, uWebSockets only sends buffered bytes at the next write, which may be much later.
      res.cork(nothing);
      this.writable();
      return true;
    });
    let room = true;
    res.cork(() => {
      this.#writeHead(status, close ? { ...headers, connection: 'close' } : headers);
      room = this.write(part);
    });
    return room;
  }

  protected write(part: string): boolean {
    corked = this.#res;
    next = part;
    corked.cork(writeCorked);
    return hasRoom;
  }

  protected finish(close: boolean): void {
    if (close) this.#glued.forbid(this.request);
    this.#res.cork(() => this.#res.end('', close));
    this.closed();
  }

  protected destroy(): void {
    this.#res.close();
  }

  protected handOver(opening: Opening): void {
    const res = this.#res;
    const key = this.request.header('sec-websocket-key') as string;
    res.cork(() => {
      res.writeStatus('101 Switching Protocols').writeHeader('x-request-id', this.request.id);
      // Never simply the first one, which is often a token and would be sent back.
      res.upgrade(
        { connection: new UwsConnection(opening) },
        key,
        opening.protocol ?? '',
        '',
        this.#context as uWS.us_socket_context_t,
      );
    });
  }

  /** `endWithoutBody` must have no argument: with a length it waits for a body of that length. */
  #endBare(status: number, headers: Headers, close: boolean): void {
    const res = this.#res;
    res.cork(() => {
      // To close the connection as well, the head has to end itself.
      this.#writeHead(status, close ? { ...headers, connection: 'close\r\n' } : headers);
      if (!close) res.endWithoutBody();
    });
    if (close) setImmediate(() => this.#gone || res.close());
  }

  /** Whether much of the body is still to come. Of one in chunks the native parser cannot tell the end for sure. */
  get #isSending(): boolean {
    const { request } = this;
    const length = request.header('content-length') ?? '';
    const isClear = /^\d+$/.test(length) && request.header('transfer-encoding') === undefined;
    return isClear && Number(length) > lingerAboveBytes && !this.#isRead;
  }

  /** A native end closes at once, which resets the connection of a client that still sends. */
  #endAndLinger(status: number, headers: Headers, body: string): void {
    this.#glued.forbid(this.request);
    this.#lingering = new Lingering(() => this.#leave());
    const length = String(Buffer.byteLength(body) + 2);
    this.#res.cork(() => {
      // The native layer ends each header with a line break: here it is the end of the body.
      const rest = `close\r\n\r\n${body}`;
      this.#writeHead(status, { ...headers, 'content-length': length, connection: rest });
    });
  }

  #leave(): void {
    this.#lingering?.stop();
    if (!this.#gone) this.#res.close();
  }

  #writeHead(status: number, headers: Headers): void {
    this.#res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
    for (const [name, value] of Object.entries(headers)) this.#res.writeHeader(name, value);
  }
}

// `cork` runs its callback before it returns, so that one set of variables serves every response without closures.
let corked: uWS.HttpResponse;
let next: string;
let hasRoom: boolean;

function writeCorked(): void {
  hasRoom = corked.write(next);
}
