const windowMs = 10_000;
const windowBytes = 160 * 1024;

/** Minimum rate of a body, as in uWebSockets: complete within 10 s, or at least 16 KB a second. */
export class BodyPace {
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor(tooSlow: () => void) {
    this.#timer = setTimeout(tooSlow, windowMs);
  }

  received(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < windowBytes) return;
    this.#bytes = 0;
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
