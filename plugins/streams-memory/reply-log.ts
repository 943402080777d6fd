import type { LogEntry, StreamFrame } from '#kernel';

/** What happened in one reply, in order, for any number of readers at their own pace. Nothing is copied per reader. */
export class ReplyLog {
  readonly #entries: LogEntry[] = [];
  readonly #waiting = new Set<() => void>();
  #position = 0;
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  /** UTF-16 code units of all text so far. */
  get position(): number {
    return this.#position;
  }

  /** Adds frames and wakes the readers, once for all of them. After the terminal frame it adds nothing. */
  append(frames: readonly StreamFrame[]): void {
    for (const frame of frames) {
      if (this.#ended) break;
      if (frame.type === 'streaming_token' || frame.type === 'message')
        this.#position += frame.content.length;
      this.#entries.push({ frame, position: this.#position });
      this.#ended = isTerminal(frame);
    }
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** A reader from the first frame on. */
  read(): AsyncIterableIterator<readonly LogEntry[]> {
    let at = 0;
    let left = false;
    let wake: (() => void) | undefined;
    const done = { done: true, value: undefined } as const;
    // Not a generator: its return() would wait for the next frame.
    const reader: AsyncIterableIterator<readonly LogEntry[]> = {
      next: async () => {
        while (!left && at === this.#entries.length && !this.#ended)
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.#waiting.add(resolve);
          });
        if (left || at === this.#entries.length) return done;
        const value = at === 0 ? [...this.#entries] : this.#entries.slice(at);
        at = this.#entries.length;
        return { done: false, value };
      },
      return: async () => {
        left = true;
        if (wake) {
          this.#waiting.delete(wake);
          wake();
        }
        return done;
      },
      [Symbol.asyncIterator]: () => reader,
    };
    return reader;
  }
}

function isTerminal({ type }: StreamFrame): boolean {
  return type === 'streaming_end' || type === 'message' || type === 'cancelled' || type === 'error';
}
