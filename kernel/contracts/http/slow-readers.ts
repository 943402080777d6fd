/** Somebody for whom bytes wait. */
export interface Reader {
  readonly bufferedBytes: number;
  /** It took nothing for too long. */
  stalled(): void;
}

interface Progress {
  bufferedBytes: number;
  atMs: number;
}

/** Finds readers that have stopped reading. One timer for all of them, which runs only while there are any. */
export class SlowReaders {
  readonly #stallTimeoutMs: number;
  readonly #readers = new Map<Reader, Progress>();
  #timer: NodeJS.Timeout | undefined;

  constructor(stallTimeoutMs: number) {
    this.#stallTimeoutMs = stallTimeoutMs;
  }

  has(reader: Reader): boolean {
    return this.#readers.has(reader);
  }

  add(reader: Reader): void {
    this.#readers.set(reader, { bufferedBytes: reader.bufferedBytes, atMs: performance.now() });
    this.#timer ??= setInterval(() => this.#sweep(), Math.max(1, this.#stallTimeoutMs / 4));
  }

  /** Looks whether it has read something. To be called before more is added to what waits, and with `grown` after it. */
  look(reader: Reader, grown = false): void {
    const progress = this.#readers.get(reader);
    if (!progress) return;
    const { bufferedBytes } = reader;
    if (bufferedBytes < progress.bufferedBytes) progress.atMs = performance.now();
    if (grown || bufferedBytes < progress.bufferedBytes) progress.bufferedBytes = bufferedBytes;
  }

  delete(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    for (const [reader, progress] of this.#readers) {
      this.look(reader);
      if (performance.now() - progress.atMs >= this.#stallTimeoutMs) reader.stalled();
    }
  }
}
