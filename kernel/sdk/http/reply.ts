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

/** State shared by all replies of one transport. */
export interface ReplyHost {
  readonly logger: Logger;
  readonly stallTimeoutMs: number;
  /** Whether responses close their connection, as during a stop. */
  readonly leaving: boolean;
  /** Replies that are not finished. */
  readonly replies: Set<BaseReply>;
  /** Called when `replies` becomes empty. */
  readonly onIdle?: () => void;
}

// waiting: nothing sent. claimed: a stream waits for its first part. begun: headers are sent. done: nothing more is sent.
type State = 'waiting' | 'claimed' | 'begun' | 'done';

// The transport frames the body itself.
const framing = new Set(['connection', 'content-length', 'transfer-encoding', 'x-request-id']);

const asksToClose = /(^|,)\s*close\s*(,|$)/i;

/**
 * The response to one request. A subclass writes the bytes; it is never called before the headers of the request have
 * arrived, nor after the end or once the client has gone.
 */
export abstract class BaseReply implements HttpResponse {
  readonly request: Request;
  /** Overrides the format of errors. */
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
      // Not awaited: a stuck producer must not delay the caller.
      void this.#release(parts);
    }
  }

  /** Closes the connection after this response: no later request on it may run. */
  closeAfter(): void {
    this.#closesAfter = true;
  }

  /** Adds headers to any response. */
  add(headers: Headers): void {
    this.#extra = { ...this.#extra, ...headers };
  }

  /** Responds with 504 unless a response has begun in time. */
  expire(timeoutMs: number): void {
    this.#deadline = setTimeout(() => {
      const { id: requestId, principal } = this.request;
      this.#host.logger.warn(
        { requestId, userId: principal?.id, timeoutMs },
        'a request was not answered in time',
      );
      this.fail(new WaggleError('DEADLINE_EXCEEDED', { timeoutMs }));
    }, timeoutMs);
  }

  /** Responds with an error; cuts off a response that has begun, so that it does not look complete. */
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
    this.#answer(status, typeof body === 'string' ? body : JSON.stringify(body), all);
    // Last, because a listener may try to respond.
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

  /** Called by the subclass with each chunk of the body. */
  protected data(chunk: Uint8Array, last: boolean): void {
    try {
      this.request.body.push(chunk);
      if (last) this.request.body.end();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Called by the subclass when there is room again. */
  protected writable(): void {
    this.#pump?.writable();
  }

  /** Called by the subclass when the response is written, or the connection closed. */
  protected closed(): void {
    const complete = this.#state === 'done';
    this.#state = 'done';
    clearTimeout(this.#deadline);
    const { replies, onIdle } = this.#host;
    if (replies.delete(this) && replies.size === 0) onIdle?.();
    if (!complete) this.request.abort(new Error('the client has gone'));
    this.request.body.release();
    this.#pump?.stop();
  }

  /** Switches to WebSocket. */
  upgrade(opening: Opening): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'done';
    this.handOver(opening);
    this.closed();
  }

  /** Writes a whole response; an undefined body has no length either. With `close` no later request may run. Calls `closed` when it is written. */
  protected abstract end(
    status: number,
    headers: Headers,
    body: string | Uint8Array | undefined,
    close: boolean,
  ): void;
  /** Writes status, headers and the first part of a body of unknown length. False, as from `write`, asks to wait for `writable`. */
  protected abstract begin(status: number, headers: Headers, part: string, close: boolean): boolean;
  protected abstract write(part: string): boolean;
  /** Ends such a body, with the same `close`. Calls `closed` when it is written. */
  protected abstract finish(close: boolean): void;
  protected abstract destroy(): void;
  /** Makes a `Connection` and calls its `open`. */
  protected abstract handOver(opening: Opening): void;

  /** Whether later bytes on the connection must not be read as a request, because an unread body may be among them. */
  protected get isMistrusted(): boolean {
    return this.#closesAfter || !this.request.body.isWhole;
  }

  /** Whether the connection ends with this response. */
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
    this.request.body.drop(begun());
    this.end(status, all, status === 204 || status === 304 ? undefined : body, closes);
    this.#pump?.stop();
  }

  async #send(status: number, headers: Headers, parts: BodyParts): Promise<void> {
    const { logger, stallTimeoutMs } = this.#host;
    if (this.request.method === 'HEAD') {
      this.#state = 'done';
      clearTimeout(this.#deadline);
      // As for a GET: without it, some clients wait for the end of the connection.
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
      this.request.body.drop(begun());
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
        throw new TypeError(
          `the header ${JSON.stringify(name)} contains characters that no header may contain`,
        );
      if (!framing.has(name.toLowerCase())) all[name.toLowerCase()] = value;
    }
    all['x-request-id'] = this.request.id;
    return all;
  }
}

function begun(): Error {
  return new Error('the response has begun; the body is forgotten');
}

function plainError(error: WaggleError<ClientErrorCode>, { id: requestId }: Request): ErrorAnswer {
  const { code, message, retryAfterMs } = error;
  const headers = retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  return { status: statusOf(error), body: { error: { code, message, requestId } }, headers };
}

/** The supported codings, where the body had another one; the scheme of the credentials, where they are missing or bad. */
function readable(error: WaggleError<ClientErrorCode>): Headers {
  // RFC 6750, section 3: without credentials there is no error code.
  if (error.code === 'UNAUTHORIZED') return { 'www-authenticate': 'Bearer realm="waggle"' };
  const codings = WaggleError.is(error, 'UNSUPPORTED_MEDIA_TYPE') ? error.details.codings : undefined;
  return codings ? { 'accept-encoding': codings } : {};
}
