import { every } from '../../every.js';
import type { Undo } from '../../scope.js';

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
  readonly #failed: (error: unknown) => void;
  #stop: Undo | undefined;

  /** `failed` hears of a look that threw; there will be others. */
  constructor(stallTimeoutMs: number, failed: (error: unknown) => void) {
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#failed = failed;
  }

  has(reader: Reader): boolean {
    // Asked for each frame of every reader, while hardly ever one is slow.
    return this.#readers.size > 0 && this.#readers.has(reader);
  }

  /** Looks whether it has read something. To be called before more is added to what waits. */
  look(reader: Reader): void {
    const progress = this.#readers.get(reader);
    const { bufferedBytes } = reader;
    if (bufferedBytes === 0) this.delete(reader);
    else if (progress && bufferedBytes < progress.bufferedBytes) {
      progress.bufferedBytes = bufferedBytes;
      progress.atMs = performance.now();
    }
  }

  /** To be called after more was added to what waits. */
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
