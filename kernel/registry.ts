import { WaggleError } from './errors.js';
import type { Undo } from './scope.js';

/** The read side of a registry: what plugins have contributed so far. */
export interface Contributions<T> extends Iterable<T> {
  find(name: string): T | undefined;
  /** Tells of what is here, and of what comes and goes. */
  watch(watcher: Watcher<T>): Undo;
}

/** What is told of contributions. What `added` throws refuses the item; what `removed` returns is awaited by whoever takes it away. */
export interface Watcher<T> {
  added(item: T): void;
  removed(item: T): void | Promise<void>;
}

/** Named things that plugins contribute and other plugins look up: agents, tasks. */
export class Registry<T extends { readonly name: string }> implements Contributions<T> {
  readonly #items = new Map<string, { readonly item: T; readonly owner: string }>();
  readonly #watchers = new Set<Watcher<T>>();
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
    for (const watcher of this.#watchers) watcher.added(item);
    this.#items.set(item.name, entry);
    return async () => {
      if (this.#items.get(item.name) !== entry) return;
      this.#items.delete(item.name);
      await Promise.all([...this.#watchers].map((watcher) => watcher.removed(item)));
    };
  }

  watch(watcher: Watcher<T>): Undo {
    for (const item of this) watcher.added(item);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  find(name: string): T | undefined {
    return this.#items.get(name)?.item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const { item } of this.#items.values()) yield item;
  }
}
