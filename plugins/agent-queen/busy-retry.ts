import { isBusy } from '#sdk/upstream';

const firstMs = 500;
const longestMs = 8000;

/** How long one agent that is full is asked again. */
export class BusyRetry {
  readonly #untilMs: number;
  #nextMs = firstMs;

  constructor(timeoutMs: number) {
    this.#untilMs = performance.now() + timeoutMs;
  }

  /** After how long to ask again, which is not the same for all who wait; undefined where that is of no use. */
  waitMs(failure: unknown): number | undefined {
    if (!isBusy(failure)) return undefined;
    const leastMs = failure.retryAfterMs ?? this.#nextMs;
    this.#nextMs = Math.min(longestMs, this.#nextMs * 2);
    const waitMs = Math.max(1, leastMs) * (1 + Math.random() / 4);
    return performance.now() + waitMs < this.#untilMs ? waitMs : undefined;
  }
}
