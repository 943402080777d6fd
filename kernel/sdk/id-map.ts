/**
 * Items by id, for items that come and go quickly. A removed item is free at once: V8 links each outgrown table of a `Map` to
 * the next, so that their removed values stay in memory until the next major garbage collection.
 */
export class IdMap<T> {
  readonly #slots = new Map<string, { item: T | undefined }>();

  get size(): number {
    return this.#slots.size;
  }

  get(id: string): T | undefined {
    return this.#slots.get(id)?.item;
  }

  set(id: string, item: T): void {
    this.#slots.set(id, { item });
  }

  delete(id: string): boolean {
    const slot = this.#slots.get(id);
    if (slot) slot.item = undefined;
    return this.#slots.delete(id);
  }

  *values(): Iterable<T> {
    for (const { item } of this.#slots.values()) yield item as T;
  }
}
