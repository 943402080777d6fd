import { type Deferred, deferred } from '#sdk';

/** Batches from a writer to one reader, one at a time: a write waits until the reader comes back for the next one. */
export class Relay<T> implements AsyncIterableIterator<T> {
  readonly #onLeave: () => Promise<void>;
  #batch: { readonly value: T } | undefined;
  #taken: Deferred<void> | undefined;
  #waiting: Deferred<IteratorResult<T>> | undefined;
  #end: { readonly failure?: unknown } | undefined;

  /** `onLeave`: the reader wants no more, and waits until the writer has stopped. */
  constructor(onLeave: () => Promise<void>) {
    this.#onLeave = onLeave;
  }

  /** Rejects once the reader has left. */
  async write(value: T): Promise<void> {
    if (this.#end) throw new Error('its reader has left');
    this.#taken = deferred();
    if (this.#waiting) this.#hand({ done: false, value });
    else this.#batch = { value };
    return this.#taken.promise;
  }

  /** Lets go of a reader that does not come back. */
  drop(): void {
    this.#end ??= {};
    this.#batch = undefined;
    this.#taken?.resolve();
    this.#hand({ done: true, value: undefined });
  }

  end(): void {
    this.#end ??= {};
    this.#hand({ done: true, value: undefined });
  }

  fail(failure: unknown): void {
    this.#end ??= { failure };
    this.#waiting?.reject(failure);
    this.#waiting = undefined;
  }

  async next(): Promise<IteratorResult<T>> {
    const batch = this.#batch;
    if (batch) {
      this.#batch = undefined;
      return { done: false, value: batch.value };
    }
    this.#taken?.resolve();
    this.#taken = undefined;
    if (this.#end) {
      if ('failure' in this.#end) throw this.#end.failure;
      return { done: true, value: undefined };
    }
    this.#waiting = deferred();
    return this.#waiting.promise;
  }

  async return(): Promise<IteratorResult<T>> {
    this.drop();
    await this.#onLeave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(result: IteratorResult<T>): void {
    this.#waiting?.resolve(result);
    this.#waiting = undefined;
  }
}
