import type {
  BodyParts,
  ErrorAnswer,
  ErrorFormat,
  Headers,
  HttpResponse,
} from '../../contracts/transport.js';
import { type ClientErrorCode, toClientError, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { statusOf } from '../status-of.js';
import { BodyPump } from './body-pump.js';
import type { Opening } from './connection.js';
import { IteratedParts } from './iterated-parts.js';
import type { Request } from './request.js';

/** What every reply of one transport needs. */
export interface ReplyHost {
  readonly logger: Logger;
  readonly stallTimeoutMs: number;
  /** True while connections should not be used again. */
  readonly leaving: boolean;
  /** Every reply whose connection is still at it. */
  readonly replies: Set<BaseReply>;
  /** Called when there is none left. */
  readonly onIdle?: () => void;
}

// waiting: nothing sent. claimed: a stream waits for its first part. begun: headers are out. done: nothing more goes out.
type State = 'waiting' | 'claimed' | 'begun' | 'done';

// The transport frames the body itself.
const framing = new Set(['connection', 'content-length', 'transfer-encoding', 'x-request-id']);

const asksToClose = /(^|,)\s*close\s*(,|$)/i;

/**
 * The one answer to a request. A native layer supplies how bytes go out; it is never called before the headers of a
 * request have arrived, nor after the end or once the client has gone.
 */
export abstract class BaseReply implements HttpResponse {
  readonly request: Request;
  /** How errors are worded where they are not as everywhere else. */
  format: ErrorFormat | undefined;
  readonly #host: ReplyHost;
  #state: State = 'waiting';
  #extra: Headers = {};
  #closesAfter = false;
  #deadline: NodeJS.Timeout | undefined;
  /** Sends a body that comes in parts. */
  #pump: BodyPump | undefined;

  constructor(request: Request, host: ReplyHost) {
    this.request = request;
    this.#host = host;
    host.replies.add(this);
  }

  get sent(): boolean {
    return this.#state === 'begun' || this.#state === 'done';
  }

  json(status: number, body: unknown, headers: Headers = {}): void {
    this.send(status, JSON.stringify(body), {
      'content-type': 'application/json; charset=utf-8',
      ...headers,
    });
  }

  send(status: number, body: string | Uint8Array, headers: Headers): void {
    if (this.#state === 'waiting') this.#answer(status, body, headers);
  }

  async stream(status: number, headers: Headers, body: AsyncIterable<string> | BodyParts): Promise<void> {
    const parts = 'take' in body ? body : new IteratedParts(body);
    try {
      if (this.#state !== 'waiting') return;
      this.#headers(headers);
      this.#state = 'claimed';
      await this.#send(status, headers, parts);
    } catch (error) {
      if (this.#state === 'claimed') this.#state = 'waiting';
      throw error;
    } finally {
      // Not awaited: a producer that is stuck must not hold up whoever waits for the end of the answer.
      void this.#release(parts);
    }
  }

  /** Nothing that comes after this request on its connection may run. */
  closeAfter(): void {
    this.#closesAfter = true;
  }

  /** Headers that go with whatever the answer will be. */
  add(headers: Headers): void {
    this.#extra = { ...this.#extra, ...headers };
  }

  /** Answers 504 unless an answer has begun by then. */
  expire(timeoutMs: number): void {
    this.#deadline = setTimeout(() => {
      this.#host.logger.warn({ requestId: this.request.id, timeoutMs }, 'a request was not answered in time');
      this.fail(new WaggleError('DEADLINE_EXCEEDED', { timeoutMs }));
    }, timeoutMs);
  }

  /** Answers with an error; when the answer has begun already, cuts it off so that it does not look complete. */
  fail(error: unknown): void {
    if (this.#state === 'done') return;
    const shown = toClientError(error);
    if (this.#state === 'begun') {
      this.cut();
      return;
    }
    const { status, body, headers } =
      this.format?.format(shown, this.request) ?? plainError(shown, this.request);
    const all = { 'content-type': 'application/json; charset=utf-8', ...headers, ...readable(shown) };
    this.#answer(status, JSON.stringify(body), all);
    // Last, because whoever hears of it may try to answer.
    this.request.abort(shown);
  }

  /** Ends the connection at once. */
  cut(): void {
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.request.abort(new Error('the answer was cut off'));
    this.destroy();
    this.closed();
  }

  /** The native layer says: a part of the body, and whether it was the last. */
  protected data(chunk: Uint8Array, last: boolean): void {
    try {
      this.request.body.push(chunk);
      if (last) this.request.body.end();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The native layer says: there is room again. */
  protected writable(): void {
    this.#pump?.writable();
  }

  /** The native layer says: the connection has taken all there is, or is no more. */
  protected closed(): void {
    const complete = this.#state === 'done';
    this.#state = 'done';
    clearTimeout(this.#deadline);
    const { replies, onIdle } = this.#host;
    if (replies.delete(this) && replies.size === 0) onIdle?.();
    if (!complete) this.request.abort(new Error('the client has gone'));
    this.#pump?.stop();
  }

  /** Goes over to WebSocket. */
  upgrade(opening: Opening): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'done';
    this.handOver(opening);
    this.closed();
  }

  /** A whole answer; a body of undefined has no length either. With `close` nothing that follows may run. Calls `closed` when it is on its way. */
  protected abstract end(
    status: number,
    headers: Headers,
    body: string | Uint8Array | undefined,
    close: boolean,
  ): void;
  /** Status, headers and the first part of a body of unknown length. Like `write`, false asks to wait for `writable`. */
  protected abstract begin(status: number, headers: Headers, part: string, close: boolean): boolean;
  protected abstract write(part: string): boolean;
  /** The end of such a body, with the same `close`. Calls `closed` when it is on its way. */
  protected abstract finish(close: boolean): void;
  protected abstract destroy(): void;
  /** Makes a connection of it and calls its `open`. */
  protected abstract handOver(opening: Opening): void;

  /** Whether what follows on its connection could be anything. Bytes of a body that was not taken must not be read as the next request. */
  protected get isMistrusted(): boolean {
    return this.#closesAfter || !this.request.body.isWhole;
  }

  /** Whether the connection ends with this answer. */
  get #closes(): boolean {
    return (
      this.isMistrusted || this.#host.leaving || asksToClose.test(this.request.header('connection') ?? '')
    );
  }

  #answer(status: number, body: string | Uint8Array, headers: Headers): void {
    const all = this.#headers(headers);
    const closes = this.#closes;
    this.#state = 'done';
    clearTimeout(this.#deadline);
    this.request.body.fail(new Error('the answer came before the body'));
    this.end(status, all, status === 204 || status === 304 ? undefined : body, closes);
    this.#pump?.stop();
  }

  async #send(status: number, headers: Headers, parts: BodyParts): Promise<void> {
    const { logger, stallTimeoutMs } = this.#host;
    if (this.request.method === 'HEAD') {
      this.#state = 'done';
      clearTimeout(this.#deadline);
      // As a GET would be answered: without it, some clients wait for the end of the connection.
      return this.end(
        status,
        { ...this.#headers(headers), 'transfer-encoding': 'chunked' },
        undefined,
        this.#closes,
      );
    }
    let closes = false;
    const begin = (part: string): boolean => {
      closes = this.#closes;
      this.#state = 'begun';
      clearTimeout(this.#deadline);
      const all = this.#headers({ ...headers, ...parts.headers?.() });
      return this.begin(status, all, part, closes);
    };
    const sink = {
      write: (part: string) => (this.#state === 'begun' ? this.write(part) : begin(part)),
      finish: () => {
        if (this.#state === 'claimed') begin('');
        this.#state = 'done';
        this.finish(closes);
      },
      stalled: () => {
        logger.info({ requestId: this.request.id, stallTimeoutMs }, 'a reader was too slow and was cut off');
        this.cut();
      },
    };
    this.#pump = new BodyPump(parts, sink, stallTimeoutMs);
    this.#pump.readable();
    await this.#pump.ended;
  }

  async #release(parts: BodyParts): Promise<void> {
    try {
      await parts.return();
    } catch (err) {
      this.#host.logger.warn({ err, requestId: this.request.id }, 'closing a stream failed');
    }
  }

  #headers(headers: Headers): Headers {
    const all: Record<string, string> = { ...this.#extra };
    for (const [name, value] of Object.entries(headers)) {
      if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t -~]*$/.test(value))
        throw new TypeError(`the header ${JSON.stringify(name)} holds what no header may hold`);
      if (!framing.has(name.toLowerCase())) all[name.toLowerCase()] = value;
    }
    all['x-request-id'] = this.request.id;
    return all;
  }
}

function plainError(error: WaggleError<ClientErrorCode>, { id: requestId }: Request): ErrorAnswer {
  const { code, message, retryAfterMs } = error;
  const headers = retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  return { status: statusOf(error), body: { error: { code, message, requestId } }, headers };
}

/** What a body may be compressed with, where it was not with that. */
function readable(error: WaggleError<ClientErrorCode>): Headers {
  const codings = WaggleError.is(error, 'UNSUPPORTED_MEDIA_TYPE') ? error.details.codings : undefined;
  return codings ? { 'accept-encoding': codings } : {};
}
