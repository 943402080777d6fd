import type { Undo } from '../../contracts/effect.js';
import { every } from '../../every.js';

/** A connection with unsent bytes. */
export interface Reader {
  readonly bufferedBytes: number;
  /** Called when it has taken nothing for too long. */
  stalled(): void;
}

interface Progress {
  bufferedBytes: number;
  atMs: number;
}

/** Finds readers that have stopped reading, with one timer, which runs only while there are unsent bytes. */
export class SlowReaders {
  readonly #stallTimeoutMs: number;
  readonly #readers = new Map<Reader, Progress>();
  readonly #failed: (error: unknown) => void;
  #stop: Undo | undefined;

  /** `failed` gets the error of a sweep; later sweeps still run. */
  constructor(stallTimeoutMs: number, failed: (error: unknown) => void) {
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#failed = failed;
  }

  has(reader: Reader): boolean {
    // Called for each frame of every reader, while slow ones are rare.
    return this.#readers.size > 0 && this.#readers.has(reader);
  }

  /** Records progress. To be called before more bytes are added. */
  look(reader: Reader): void {
    const progress = this.#readers.get(reader);
    const { bufferedBytes } = reader;
    if (bufferedBytes === 0) this.delete(reader);
    else if (progress && bufferedBytes < progress.bufferedBytes) {
      progress.bufferedBytes = bufferedBytes;
      progress.atMs = performance.now();
    }
  }

  /** Watches a reader. To be called after more bytes were added. */
  watch(reader: Reader): void {
    const progress = this.#readers.get(reader);
    const { bufferedBytes } = reader;
    if (bufferedBytes === 0) this.delete(reader);
    else if (progress) progress.bufferedBytes = bufferedBytes;
    else {
      this.#readers.set(reader, { bufferedBytes, atMs: performance.now() });
      this.#stop ??= every(Math.max(1, this.#stallTimeoutMs / 4), () => this.#sweep(), this.#failed);
    }
  }

  delete(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    void this.#stop?.();
    this.#stop = undefined;
  }

  #sweep(): void {
    for (const [reader, progress] of this.#readers) {
      this.look(reader);
      if (this.has(reader) && performance.now() - progress.atMs >= this.#stallTimeoutMs) reader.stalled();
    }
  }
}
