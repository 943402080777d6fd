import { timerMs } from '../duration.js';

interface Limits {
  readonly keepMs: number;
  readonly maxKept: number;
}

/** Ended items that are kept for a while. The oldest goes first, when its time is over or the room is needed. */
export class ExpiringSet<T> {
  readonly #keptAt = new Map<T, number>();
  readonly #limits: Limits;
  readonly #onGone: (item: T) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Limits, onGone: (item: T) => void) {
    this.#limits = limits;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#keptAt.size;
  }

  keep(item: T): void {
    this.#keptAt.set(item, performance.now());
    if (this.#keptAt.size > this.#limits.maxKept) this.dropOldest();
    this.#schedule();
  }

  /** Makes room. False when the set is empty. */
  dropOldest(): boolean {
    const [oldest] = this.#keptAt.keys();
    if (oldest === undefined) return false;
    this.#keptAt.delete(oldest);
    this.#onGone(oldest);
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
    const [keptAt] = this.#keptAt.values();
    if (keptAt === undefined) return;
    const dueMs = Math.max(1, keptAt + this.#limits.keepMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#expire();
      this.#schedule();
    }, timerMs(dueMs));
    // Does not keep the process alive.
    this.#timer.unref();
  }

  #expire(): void {
    const oldest = performance.now() - this.#limits.keepMs;
    for (const keptAt of this.#keptAt.values()) {
      if (keptAt > oldest) return;
      this.dropOldest();
    }
  }
}
