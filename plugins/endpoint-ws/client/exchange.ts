import { expectDurations } from './duration.js';
import { WaggleClientError } from './error.js';
import type { ServerFrame } from './server-frame.js';
import type { RequestOptions } from './types.js';

const silenceLimitMs = 300_000;

/** What an exchange needs of the client. */
export interface Line {
  readonly answerTimeoutMs: number;
  /** Gives the length of what went out. @throws what `JSON.stringify` says of the frame */
  send(frame: object): number;
  ended(exchange: Exchange): void;
}

/** One request, and everything that comes back for it, over any number of connections. */
export abstract class Exchange<Result = unknown> {
  readonly requestId: string;
  readonly result: Promise<Result>;
  /** The server's name for it, once known. */
  id: string | undefined;
  ended = false;
  protected sent = false;
  protected cancelling = false;
  protected readonly line: Line;
  readonly #options: RequestOptions & { readonly timeoutMs?: number | undefined };
  readonly #onAbort = () => this.abandon(this.#options.signal?.reason);
  #settle!: { resolve(result: Result): void; reject(error: unknown): void };
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(line: Line, options: RequestOptions & { readonly timeoutMs?: number | undefined }) {
    expectDurations({ timeoutMs: options.timeoutMs });
    this.line = line;
    this.requestId = options.requestId ?? randomId();
    this.#options = options;
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever only loops over a reply need not look at its result.
    this.result.catch(() => {});
  }

  /** Asks for the first time, or takes up again what ran when the connection was lost. */
  protected abstract ask(): void;
  /** Asks the server to stop it, once it has a name. */
  protected abstract stop(): void;
  protected abstract take(frame: ServerFrame): void;

  begin(): void {
    const { signal } = this.#options;
    this.#await(this.#options.timeoutMs ?? silenceLimitMs);
    signal?.addEventListener('abort', this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  connected(): void {
    if (this.ended) return;
    if (this.cancelling && this.id === undefined)
      this.fail(this.error('CONNECTION_LOST', 'lost before it started'));
    else this.#ask();
    this.sent = true;
    if (this.cancelling) this.stop();
  }

  /** What cannot be sent as JSON fails alone, and not whatever else waits for the connection. */
  #ask(): void {
    try {
      this.ask();
    } catch (error) {
      this.fail(error);
    }
  }

  receive(frame: ServerFrame): void {
    const { type, streamId, taskId, code = 'INTERNAL', message = '', retryAfterMs, ahead = 0 } = frame;
    const { onQueued, timeoutMs = silenceLimitMs } = this.#options;
    const nameless = this.id === undefined;
    this.id ??= streamId ?? taskId;
    if (!this.cancelling) this.#await(timeoutMs);
    else if (nameless) this.stop();
    if (type === 'error') this.fail(this.error(code, message, retryAfterMs));
    else if (type !== 'queue_update') this.take(frame);
    else if (onQueued) queueMicrotask(() => onQueued(ahead));
  }

  fail(error: unknown): void {
    if (this.#end()) this.#settle.reject(error);
  }

  protected succeed(result: Result): void {
    if (this.#end()) this.#settle.resolve(result);
  }

  /** Gives it up from this side. */
  protected abandon(error: unknown): void {
    this.stop();
    this.fail(error);
  }

  /** Asks the server to stop; from here on only the end counts, and it has a shorter bound. */
  protected stopAndWait(): void {
    this.cancelling = true;
    this.#await(this.line.answerTimeoutMs);
    this.stop();
  }

  protected error(code: string, message: string, retryAfterMs?: number): WaggleClientError {
    return new WaggleClientError(code, message, { requestId: this.requestId, retryAfterMs });
  }

  #await(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.abandon(this.error('TIMEOUT', `nothing came for ${timeoutMs} ms`)),
      timeoutMs,
    );
  }

  #end(): boolean {
    if (this.ended) return false;
    this.ended = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.line.ended(this);
    return true;
  }
}

/** Pages that are not served over HTTPS have no `crypto.randomUUID`. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
