/** Aborts its signal when the caller's does, or when a wait lasts too long. One timer serves a whole answer. */
export class Watchdog {
  readonly #abort = new AbortController();
  readonly #caller: AbortSignal;
  readonly #forward: () => void;
  #timer: NodeJS.Timeout | undefined;
  #limit = { timeoutMs: 0, phase: '' };
  #waiting = false;
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
    const refresh = this.#timer !== undefined && this.#limit.timeoutMs === timeoutMs;
    this.#waiting = true;
    this.#limit = { timeoutMs, phase };
    if (refresh) return void this.#timer?.refresh();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#waiting) return;
      this.#expired = this.#limit;
      this.#abort.abort();
    }, timeoutMs);
  }

  /** While the reader of the answer works, nobody waits for the model. */
  pause(): void {
    this.#waiting = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#forward);
  }
}
