import type { Item } from './items.js';

/** The latest responses of one connection, for those that are not stored: their items up to their answer. */
export class ConnectionMemory {
  readonly #limitChars: number;
  readonly #responses = new Map<string, { readonly items: readonly Item[]; readonly chars: number }>();
  #chars = 0;

  constructor(limitChars: number) {
    this.#limitChars = limitChars;
  }

  get(id: string): readonly Item[] | undefined {
    return this.#responses.get(id)?.items;
  }

  /** Keeps a response; the oldest ones make room. */
  keep(id: string, items: readonly Item[]): void {
    // Most items are shared with the response before: counting them all errs on the safe side.
    const chars = JSON.stringify(items).length;
    this.#responses.set(id, { items, chars });
    this.#chars += chars;
    for (const [oldest, { chars: freed }] of this.#responses) {
      if (this.#chars <= this.#limitChars) break;
      this.#responses.delete(oldest);
      this.#chars -= freed;
    }
  }
}
