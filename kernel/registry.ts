import { messageOf, WaggleError } from './errors.js';
import type { Undo } from './scope.js';
import { forPlugin, type PerPlugin, type StartEffect } from './services.js';

/** The items of a registry, to be read. */
export interface ReadonlyRegistry<T> extends Iterable<T> {
  find(name: string): T | undefined;
  /** Reports the present items, and later changes. */
  watch(watcher: Watcher<T>): Undo;
}

/** Observes a registry. A throw from `added` rejects the item; the promise of `removed` is awaited. */
export interface Watcher<T> {
  added(item: T): void;
  removed(item: T): void | Promise<void>;
}

/** Named items that plugins contribute and other plugins look up: agents, tasks. */
export class Registry<T extends { readonly name: string }>
  implements ReadonlyRegistry<T>, PerPlugin<ReadonlyRegistry<T>>
{
  readonly #items = new Map<string, { readonly item: T; readonly owner: string }>();
  readonly #watchers = new Set<Watcher<T>>();
  readonly #kind: string;
  readonly #onFailure: (error: unknown) => void;

  /** `onFailure` gets errors of watchers that could not take back a rejected item. */
  constructor(kind: string, onFailure: (error: unknown) => void = () => {}) {
    this.#kind = kind;
    this.#onFailure = onFailure;
  }

  /** @throws KERNEL_REGISTRY_CONFLICT when the name is taken; the error of a watcher that rejects it */
  add(item: T, owner: string): Undo {
    const taken = this.#items.get(item.name);
    if (taken) {
      const details = { kind: this.#kind, name: item.name, owner: taken.owner, plugin: owner };
      throw new WaggleError('KERNEL_REGISTRY_CONFLICT', details);
    }
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

  /** Calls all watchers, also after one has failed. @throws their errors */
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
