/** The pauses before reconnects: they double up to a limit, with full jitter above a half. */
export class Pauses {
  readonly #minMs: number;
  readonly #maxMs: number;
  #failures = 0;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = Math.min(minMs, maxMs);
    this.#maxMs = maxMs;
  }

  /** The pause before the next try. */
  next(): number {
    const longest = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#failures++, 30));
    return longest * (0.5 + Math.random() / 2);
  }

  /** Starts over after a connection that has lasted. */
  reset(): void {
    this.#failures = 0;
  }
}
