/** Silence after which a client has read its answer, or never will. */
const idleMs = 1000;
const mostMs = 30_000;
const discardLimitBytes = 64 * 1024 * 1024;

/** The wait for a client that has its answer while it still sends: most read only when they have sent all. */
export class Lingering {
  readonly #startedMs = performance.now();
  readonly #idle: NodeJS.Timeout;
  readonly #over: () => void;
  #bytes = 0;

  constructor(over: () => void) {
    this.#over = over;
    this.#idle = setTimeout(over, idleMs);
  }

  /** Discards a part. */
  received(bytes: number): void {
    this.#bytes += bytes;
    const isEnough = this.#bytes > discardLimitBytes || performance.now() - this.#startedMs > mostMs;
    if (isEnough) this.#over();
    else this.#idle.refresh();
  }

  stop(): void {
    clearTimeout(this.#idle);
  }
}
