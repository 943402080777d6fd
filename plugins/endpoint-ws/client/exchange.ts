import { expectDurations } from './duration.js';
import { WaggleClientError } from './error.js';
import type { ServerFrame } from './server-frame.js';
import type { RequestOptions } from './types.js';

const silenceLimitMs = 300_000;

/** The part of the client that exchanges use. */
export interface Line {
  readonly answerTimeoutMs: number;
  /** Returns the length of the frame. @throws errors of `JSON.stringify` */
  send(frame: object): number;
  ended(exchange: Exchange): void;
}

/** One request and all its responses, over any number of connections. */
export abstract class Exchange<Result = unknown> {
  readonly requestId: string;
  readonly result: Promise<Result>;
  /** The server's id, once known. */
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
    // A loop over a reply may ignore its result.
    this.result.catch(() => {});
  }

  /** Sends the request, or resumes it after a lost connection. */
  protected abstract ask(): void;
  /** Asks the server to stop, once the id is known. */
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

  /** A request that is not JSON fails alone, without affecting others that wait for the connection. */
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
    // It was on its way when the server began to shut down, and nothing of it has begun: the next connection asks again.
    if (
      code === 'SHUTTING_DOWN' &&
      type === 'error' &&
      nameless &&
      !streamId &&
      !taskId &&
      !this.cancelling
    ) {
      this.sent = false;
      return;
    }
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

  /** Ends the exchange on this side. */
  protected abandon(error: unknown): void {
    this.stop();
    this.fail(error);
  }

  /** Asks the server to stop and waits for the end, for a shorter time. */
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

/** A random id. Pages without HTTPS have no `crypto.randomUUID`. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
