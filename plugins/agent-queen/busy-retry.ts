import { isBusy } from '#sdk/upstream';

const firstMs = 500;
const longestMs = 8000;
/** Second delay for a server that keeps asking for an immediate retry; it doubles each time. */
const requestedFirstMs = 20;

/** Retry delays for one busy agent. */
export class BusyRetry {
  readonly #untilMs: number;
  #nextMs = firstMs;
  #requestedLeastMs = 1;

  constructor(timeoutMs: number) {
    this.#untilMs = performance.now() + timeoutMs;
  }

  /** The delay before the next try, with jitter; undefined where the agent is not busy or the time is over. */
  waitMs(failure: unknown): number | undefined {
    if (!isBusy(failure)) return undefined;
    const requestedMs = failure.retryAfterMs;
    const leastMs = requestedMs === undefined ? this.#nextMs : Math.max(this.#requestedLeastMs, requestedMs);
    this.#nextMs = Math.min(longestMs, this.#nextMs * 2);
    this.#requestedLeastMs = Math.min(longestMs, Math.max(requestedFirstMs, this.#requestedLeastMs * 2));
    const waitMs = leastMs * (1 + Math.random() / 4);
    return performance.now() + waitMs < this.#untilMs ? waitMs : undefined;
  }
}
