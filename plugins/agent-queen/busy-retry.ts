import { isBusy } from '#sdk/upstream';

const firstMs = 500;
const longestMs = 8000;
/** Who says "at once" may say so again: the second time this counts for more, and twice as much each time. */
const toldFirstMs = 20;

/** How long one agent that is full is asked again. */
export class BusyRetry {
  readonly #untilMs: number;
  #nextMs = firstMs;
  #toldLeastMs = 1;

  constructor(timeoutMs: number) {
    this.#untilMs = performance.now() + timeoutMs;
  }

  /** After how long to ask again, which is not the same for all who wait; undefined where that is of no use. */
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
