const firstMs = 100;
const longestMs = 5000;

/** Exponential back-off with jitter. */
export class BackOff {
  readonly #tolerated: number;
  #failures = 0;
  #untilMs = 0;

  /** Ignores the first `tolerated` failures in a row. */
  constructor(tolerated = 0) {
    this.#tolerated = tolerated;
  }

  /** Time until the next try; 0 when it is due. */
  get leftMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }

  /** Whether a try is due. After a failure it admits one caller and delays the others. */
  mayTry(): boolean {
    if (this.leftMs > 0) return false;
    this.#wait();
    return true;
  }

  failed(): void {
    this.#failures++;
    this.#wait();
  }

  succeeded(): void {
    this.#failures = 0;
    this.#untilMs = 0;
  }

  #wait(): void {
    const counted = this.#failures - this.#tolerated;
    if (counted < 1) return;
    const waitMs = Math.min(longestMs, firstMs * 2 ** Math.min(counted - 1, 16));
    this.#untilMs = performance.now() + waitMs * (0.5 + Math.random() / 2);
  }
}
