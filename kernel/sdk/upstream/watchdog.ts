import { timerMs } from '../../duration.js';
import { type AbortSource, signalOf } from '../cancellation.js';

/** Aborts its signal with the caller's, or when a wait exceeds its limit. One timer serves a whole answer. */
export class Watchdog {
  readonly #source: AbortSource;
  /** The signal of the caller, once it is needed. */
  #caller: AbortSignal | undefined;
  readonly #onExpired: (() => void) | undefined;
  /** Made when it is asked for, because most answers need none. */
  #abort: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timeoutMs = 0;
  #phase = '';
  #waiting = false;
  #isStopped = false;
  #since = 0;
  #expired: { readonly timeoutMs: number; readonly phase: string } | undefined;

  /** `onExpired` is called when a wait exceeds its limit, before the signal aborts. */
  constructor(caller: AbortSource, onExpired?: () => void) {
    this.#source = caller;
    this.#onExpired = onExpired;
  }

  get signal(): AbortSignal {
    if (this.#abort) return this.#abort.signal;
    this.#abort = new AbortController();
    if (this.#expired) this.#abort.abort();
    else if (!this.#isStopped) {
      this.#caller = signalOf(this.#source);
      if (this.#caller?.aborted) this.#forward();
      else this.#caller?.addEventListener('abort', this.#forward, { once: true });
    }
    return this.#abort.signal;
  }

  /** The exceeded limit, if any. */
  get expired(): { readonly timeoutMs: number; readonly phase: string } | undefined {
    return this.#expired;
  }

  /** Expects the next event within `timeoutMs`. */
  watch(timeoutMs: number, phase: string): void {
    this.#since = performance.now();
    this.#waiting = true;
    this.#phase = phase;
    // A running timer is re-checked when it fires: re-arming per token would cost more than the token.
    if (this.#timer && this.#timeoutMs === timeoutMs) return;
    this.#timeoutMs = timeoutMs;
    this.#arm(timeoutMs);
  }

  /** Stops the clock while the reader of the answer works. */
  pause(): void {
    this.#waiting = false;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#forward);
  }

  readonly #forward = (): void => this.#abort?.abort(this.#caller?.reason);

  #arm(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#waiting) return;
      const leftMs = this.#since + this.#timeoutMs - performance.now();
      if (leftMs > 0) this.#arm(Math.ceil(leftMs));
      else {
        this.#expired = { timeoutMs: this.#timeoutMs, phase: this.#phase };
        this.#onExpired?.();
        this.#abort?.abort();
      }
    }, timerMs(afterMs));
  }
}
