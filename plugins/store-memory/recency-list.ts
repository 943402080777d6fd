/** A member of a `RecencyList`. */
export interface Recent {
  older?: this | undefined;
  newer?: this | undefined;
}

/**
 * Items in order of use. Every operation takes constant time: the first key of a `Map` is found by passing all the deleted
 * ones before it, thousands in a store at its limit.
 */
export class RecencyList<T extends Recent> {
  /** The item whose last use is the longest ago. */
  oldest: T | undefined;
  #newest: T | undefined;

  /** Adds an item, or moves it behind all others. */
  touch(item: T): void {
    if (item === this.#newest) return;
    this.remove(item);
    item.older = this.#newest;
    if (this.#newest) this.#newest.newer = item;
    this.#newest = item;
    this.oldest ??= item;
  }

  /** Removes an item; one that is not in the list stays out of it. */
  remove(item: T): void {
    const { older, newer } = item;
    if (older) older.newer = newer;
    else if (item === this.oldest) this.oldest = newer;
    if (newer) newer.older = older;
    else if (item === this.#newest) this.#newest = older;
    item.older = item.newer = undefined;
  }
}
