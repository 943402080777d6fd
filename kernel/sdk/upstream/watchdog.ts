import { timerMs } from '../../duration.js';

/** Aborts its signal when the caller's does, or when a wait lasts too long. One timer serves a whole answer. */
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

  /** The limit that was passed, if one was. */
  get expired(): { readonly timeoutMs: number; readonly phase: string } | undefined {
    return this.#expired;
  }

  /** From now on the next event has to come within `timeoutMs`. */
  watch(timeoutMs: number, phase: string): void {
    this.#since = performance.now();
    this.#waiting = true;
    this.#phase = phase;
    // A timer that runs looks at the clock when it fires: to set it anew for each token would cost more than the token.
    if (this.#timer && this.#timeoutMs === timeoutMs) return;
    this.#timeoutMs = timeoutMs;
    this.#look(timeoutMs);
  }

  /** While the reader of the answer works, nobody waits for the model. */
  pause(): void {
    this.#waiting = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#forward);
  }

  #look(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#waiting) return;
      const leftMs = this.#since + this.#timeoutMs - performance.now();
      if (leftMs > 0) this.#look(Math.ceil(leftMs));
      else {
        this.#expired = { timeoutMs: this.#timeoutMs, phase: this.#phase };
        this.#abort.abort();
      }
    }, timerMs(afterMs));
  }
}
