import type { ReplyWriter } from './reply-writer.js';

/** When logs are written. */
export interface FlushTimes {
  readonly flushMs: number;
  readonly maxWritesPerSecond: number;
}

/** As much text does not wait for the time to be over. */
const promptChars = 4096;

/** Has logs written that have grown: now and then, or in the next turn of the event loop where somebody waits. */
export class Flusher {
  readonly #times: FlushTimes;
  #grown = new Set<ReplyWriter>();
  #urgent = new Set<ReplyWriter>();
  #timer: NodeJS.Timeout | undefined;
  /** Logs that had grown the last time. */
  #lastSize = 0;

  constructor(times: FlushTimes) {
    this.#times = times;
  }

  grew(writer: ReplyWriter): void {
    if (writer.isWatched || writer.unflushedChars >= promptChars) {
      if (this.#urgent.size === 0) setImmediate(() => this.#flushUrgent());
      this.#urgent.add(writer);
      return;
    }
    this.#grown.add(writer);
    this.#timer ??= setTimeout(() => this.flush(), this.#waitMs);
  }

  /** Writes all that is new. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const grown = this.#grown;
    this.#grown = new Set();
    this.#lastSize = grown.size;
    for (const writer of grown) writer.flush();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#grown.clear();
    this.#urgent.clear();
  }

  #flushUrgent(): void {
    const urgent = this.#urgent;
    this.#urgent = new Set();
    for (const writer of urgent) writer.flush();
  }

  /** As many logs as grew the last time take at least as long as that many writes may. */
  get #waitMs(): number {
    const { flushMs, maxWritesPerSecond } = this.#times;
    return Math.max(flushMs, (1000 * this.#lastSize) / maxWritesPerSecond);
  }
}
