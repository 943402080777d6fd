const firstMs = 100;
const longestMs = 5000;

/** How long what has failed is left alone: twice as long each time, and not the same for all who do so. */
export class BackOff {
  readonly #tolerated: number;
  #failures = 0;
  #untilMs = 0;

  /** So many failures in a row count as none. */
  constructor(tolerated = 0) {
    this.#tolerated = tolerated;
  }

  /** Until it may be tried again; zero when it may. */
  get leftMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }

  /** Whether it may be tried now. Where it has failed before, one who asks may, and the others wait for how that ends. */
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
