import { timerMs } from '../duration.js';

interface Limits {
  readonly keepMs: number;
  readonly maxKept: number;
}

interface Kept<T> {
  readonly item: T;
  readonly at: number;
}

/** Gone items before the others are moved to the front. */
const slackItems = 1024;

/** Ended items that are kept for a while. The oldest goes first, when its time is over or the room is needed. */
export class ExpiringSet<T> {
  // A list with an index of its first item: the first key of a Map is found by passing all the deleted ones before it.
  #kept: (Kept<T> | undefined)[] = [];
  #first = 0;
  readonly #limits: Limits;
  readonly #onGone: (item: T) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Limits, onGone: (item: T) => void) {
    this.#limits = limits;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#kept.length - this.#first;
  }

  /** Keeps an item, which must not be in the set. */
  keep(item: T): void {
    this.#kept.push({ item, at: performance.now() });
    if (this.size > this.#limits.maxKept) this.dropOldest();
    this.#schedule();
  }

  /** Makes room. False when the set is empty. */
  dropOldest(): boolean {
    const oldest = this.#kept[this.#first];
    if (!oldest) return false;
    this.#kept[this.#first++] = undefined;
    if (this.#first > slackItems && this.#first > this.size) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
    this.#onGone(oldest.item);
    return true;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.dropOldest());
  }

  /** One timer, for the oldest. */
  #schedule(): void {
    if (this.#timer) return;
    const oldest = this.#kept[this.#first];
    if (!oldest) return;
    const dueMs = Math.max(1, oldest.at + this.#limits.keepMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#expire();
      this.#schedule();
    }, timerMs(dueMs));
    // Does not keep the process alive.
    this.#timer.unref();
  }

  #expire(): void {
    const since = performance.now() - this.#limits.keepMs;
    while ((this.#kept[this.#first]?.at ?? Number.POSITIVE_INFINITY) <= since) this.dropOldest();
  }
}
