/** A token bucket, with bursts of ten seconds' worth of events. */
export class RateLimit {
  readonly #perSecond: number;
  #left: number;
  #at: number;

  /** `now` is a monotonic time in milliseconds. */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * 10;
    this.#at = now;
  }

  /** Counts one event. False when it exceeds the limit. */
  take(now: number): boolean {
    this.#left = Math.min(this.#perSecond * 10, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
