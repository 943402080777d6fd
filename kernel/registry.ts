import { WaggleError } from './errors.js';
import type { Undo } from './scope.js';

/** The read side of a registry: what plugins have contributed so far. */
export interface Contributions<T> extends Iterable<T> {
  find(name: string): T | undefined;
}

/** Named things that plugins contribute and other plugins look up: agents, tasks. */
export class Registry<T extends { readonly name: string }> implements Contributions<T> {
  readonly #items = new Map<string, { readonly item: T; readonly owner: string }>();
  readonly #kind: string;

  constructor(kind: string) {
    this.#kind = kind;
  }

  /** @throws KERNEL_REGISTRY_CONFLICT when the name is taken. */
  add(item: T, owner: string): Undo {
    const taken = this.#items.get(item.name);
    if (taken)
      throw new WaggleError('KERNEL_REGISTRY_CONFLICT', {
        kind: this.#kind,
        name: item.name,
        owner: taken.owner,
        plugin: owner,
      });
    const entry = { item, owner };
    this.#items.set(item.name, entry);
    return () => {
      if (this.#items.get(item.name) === entry) this.#items.delete(item.name);
    };
  }

  find(name: string): T | undefined {
    return this.#items.get(name)?.item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const { item } of this.#items.values()) yield item;
  }
}
