import { timerMs } from '../../duration.js';

/** Aborts its signal with the caller's, or when a wait exceeds its limit. One timer serves a whole answer. */
export class Watchdog {
  readonly #abort = new AbortController();
  readonly #caller: AbortSignal;
  readonly #forward: () => void;
  #timer: NodeJS.Timeout | undefined;
  #timeoutMs = 0;
  #phase = '';
  #waiting = false;
  #since = 0;
  #expired: { readonly timeoutMs: number; readonly phase: string } | undefined;

  constructor(caller: AbortSignal) {
    this.#caller = caller;
    this.#forward = () => this.#abort.abort(caller.reason);
    if (caller.aborted) this.#forward();
    else caller.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
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
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#forward);
  }

  #arm(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#waiting) return;
      const leftMs = this.#since + this.#timeoutMs - performance.now();
      if (leftMs > 0) this.#arm(Math.ceil(leftMs));
      else {
        this.#expired = { timeoutMs: this.#timeoutMs, phase: this.#phase };
        this.#abort.abort();
      }
    }, timerMs(afterMs));
  }
}
