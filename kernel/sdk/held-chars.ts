import type { ExpiringSet } from './expiring-set.js';

interface Limits {
  readonly totalLimitChars: number;
}

/** Counts the characters that items hold, within a limit that may change. Ended items make room for others, the oldest first. */
export class HeldChars {
  #count = 0;
  readonly #limits: Limits;
  readonly #kept: Pick<ExpiringSet<unknown>, 'dropOldest'>;

  /** An item that goes from `kept` has to be freed. */
  constructor(limits: Limits, kept: Pick<ExpiringSet<unknown>, 'dropOldest'>) {
    this.#limits = limits;
    this.#kept = kept;
  }

  get count(): number {
    return this.#count;
  }

  /** False where there is no room for so many more; they count all the same. */
  add(chars: number): boolean {
    this.#count += chars;
    while (this.#count > this.#limits.totalLimitChars) if (!this.#kept.dropOldest()) return false;
    return true;
  }

  free(chars: number): void {
    this.#count -= chars;
  }
}
