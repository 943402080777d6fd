import { isBusy } from '#sdk';

const firstMs = 500;
const longestMs = 8000;
/** A server that says "at once" may say so again: the second time this counts for more, and twice as much each time. */
const toldFirstMs = 20;

/** Retry delays for one busy agent. */
export class BusyRetry {
  readonly #untilMs: number;
  #nextMs = firstMs;
  #toldLeastMs = 1;

  constructor(timeoutMs: number) {
    this.#untilMs = performance.now() + timeoutMs;
  }

  /** The delay before the next try, with jitter; undefined where the agent is not busy or the time is over. */
  waitMs(failure: unknown): number | undefined {
    if (!isBusy(failure)) return undefined;
    const told = failure.retryAfterMs;
    const leastMs = told === undefined ? this.#nextMs : Math.max(this.#toldLeastMs, told);
    this.#nextMs = Math.min(longestMs, this.#nextMs * 2);
    this.#toldLeastMs = Math.min(longestMs, Math.max(toldFirstMs, this.#toldLeastMs * 2));
    const waitMs = leastMs * (1 + Math.random() / 4);
    return performance.now() + waitMs < this.#untilMs ? waitMs : undefined;
  }
}
