import { isBusy } from '#sdk/upstream';

const firstMs = 500;
const longestMs = 8000;

/** Retry delays for one busy agent. */
export class BusyRetry {
  readonly #untilMs: number;
  #nextMs = firstMs;

  constructor(timeoutMs: number) {
    this.#untilMs = performance.now() + timeoutMs;
  }

  /** The delay before the next try, with jitter; undefined where the agent is not busy or the time is over. */
  waitMs(failure: unknown): number | undefined {
    if (!isBusy(failure)) return undefined;
    const leastMs = failure.retryAfterMs ?? this.#nextMs;
    this.#nextMs = Math.min(longestMs, this.#nextMs * 2);
    const waitMs = Math.max(1, leastMs) * (1 + Math.random() / 4);
    return performance.now() + waitMs < this.#untilMs ? waitMs : undefined;
  }
}
