import { messageOf, WaggleError } from './errors.js';
import type { Undo } from './scope.js';
import { forPlugin, type PerPlugin, type StartEffect } from './services.js';

/** The read side of a registry: what plugins have contributed so far. */
export interface ReadonlyRegistry<T> extends Iterable<T> {
  find(name: string): T | undefined;
  /** Tells of what is here, and of what comes and goes. */
  watch(watcher: Watcher<T>): Undo;
}

/**
 * What is told of contributions. What `added` throws refuses the item, and those who had taken it are told that it is
 * `removed`; what `removed` returns is awaited by whoever takes it away.
 */
export interface Watcher<T> {
  added(item: T): void;
  removed(item: T): void | Promise<void>;
}

/** Named things that plugins contribute and other plugins look up: agents, tasks. */
export class Registry<T extends { readonly name: string }>
  implements ReadonlyRegistry<T>, PerPlugin<ReadonlyRegistry<T>>
{
  readonly #items = new Map<string, { readonly item: T; readonly owner: string }>();
  readonly #watchers = new Set<Watcher<T>>();
  readonly #kind: string;
  readonly #onFailure: (error: unknown) => void;

  /** `onFailure` hears of what goes wrong while a refused item is taken back. */
  constructor(kind: string, onFailure: (error: unknown) => void = () => {}) {
    this.#kind = kind;
    this.#onFailure = onFailure;
  }

  /** @throws KERNEL_REGISTRY_CONFLICT when the name is taken; what a watcher refuses it with. */
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
    const told: Watcher<T>[] = [];
    try {
      for (const watcher of this.#watchers) {
        watcher.added(item);
        told.push(watcher);
      }
    } catch (refusal) {
      this.#tellRemoved(told.reverse(), item).catch(this.#onFailure);
      throw refusal;
    }
    this.#items.set(item.name, entry);
    return async () => {
      if (this.#items.get(item.name) !== entry) return;
      this.#items.delete(item.name);
      await this.#tellRemoved([...this.#watchers], item);
    };
  }

  /** Read-only; a watcher ends with the plugin. */
  [forPlugin](effect: StartEffect): ReadonlyRegistry<T> {
    return Object.freeze({
      find: (name: string) => this.find(name),
      watch: (watcher: Watcher<T>) =>
        effect({ kind: 'watch', name: `${this.#kind}s` }, () => this.watch(watcher)),
      [Symbol.iterator]: () => this[Symbol.iterator](),
    });
  }

  watch(watcher: Watcher<T>): Undo {
    for (const item of this) watcher.added(item);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  find(name: string): T | undefined {
    return this.#items.get(name)?.item;
  }

  /** Tells all of them, also where one fails. @throws what the first one failed with */
  async #tellRemoved(watchers: readonly Watcher<T>[], item: T): Promise<void> {
    const told = watchers.filter((watcher) => this.#watchers.has(watcher));
    const results = await Promise.allSettled(told.map(async (watcher) => watcher.removed(item)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (failures.length > 1) throw new AggregateError(failures, failures.map(messageOf).join('; '));
    if (failures.length > 0) throw failures[0];
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const { item } of this.#items.values()) yield item;
  }
}
