import type { TaskUpdate } from '../../contracts/task.js';

const done = { done: true, value: undefined } as const;

/** The updates of a run, for readers at their own pace: each partial result in order, and the newest progress. */
export class UpdateLog {
  readonly partials: TaskUpdate[] = [];
  latest: TaskUpdate | undefined;
  ended = false;
  readonly #limit: number;
  readonly #readers = new Set<UpdateReader>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False when there is no room for more partial results. */
  add(updates: readonly TaskUpdate[]): boolean {
    for (const update of updates) {
      if (update.type === 'progress') this.latest = update;
      else if (this.partials.length >= this.#limit) return false;
      else this.partials.push(update);
    }
    this.#wake();
    return true;
  }

  end(): void {
    this.ended = true;
    this.#wake();
  }

  read(): UpdateReader {
    const reader = new UpdateReader(this, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  #wake(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

// Not a generator: its return() would wait for the next update.
class UpdateReader implements AsyncIterableIterator<readonly TaskUpdate[]> {
  readonly #log: UpdateLog;
  readonly #leave: () => void;
  #at = 0;
  #progress: TaskUpdate | undefined;
  #left = false;
  #wake: (() => void) | undefined;

  constructor(log: UpdateLog, leave: () => void) {
    this.#log = log;
    this.#leave = leave;
  }

  async next(): Promise<IteratorResult<readonly TaskUpdate[]>> {
    for (;;) {
      if (this.#left) return done;
      const news = this.#take();
      if (news.length > 0) return { done: false, value: news };
      if (this.#log.ended) return this.return();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<readonly TaskUpdate[]>> {
    this.#left = true;
    this.#leave();
    this.wake();
    return done;
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): readonly TaskUpdate[] {
    const { partials, latest } = this.#log;
    const news = partials.slice(this.#at);
    this.#at = partials.length;
    if (latest && latest !== this.#progress) news.push(latest);
    this.#progress = latest;
    return news;
  }
}
