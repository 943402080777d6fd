import type { Undo } from './contracts/effect.js';
import type { ReadonlyRegistry, Watcher } from './contracts/registry.js';
import { messageOf, WaggleError } from './errors.js';
import type { StartEffect } from './services.js';

interface Entry<T> {
  readonly item: T;
  readonly owner: string;
  readonly run: unknown;
  isGone?: boolean;
}

/** Named items that plugins contribute and other plugins look up: agents, tasks. */
export class Registry<T extends { readonly name: string }> implements ReadonlyRegistry<T> {
  readonly #items = new Map<string, Entry<T>>();
  readonly #watchers = new Set<Watcher<T>>();
  readonly #kind: string;
  readonly #onFailure: (error: unknown) => void;

  /** `onFailure` gets errors of watchers that could not take back a rejected item. */
  constructor(kind: string, onFailure: (error: unknown) => void = () => {}) {
    this.#kind = kind;
    this.#onFailure = onFailure;
  }

  /**
   * A later run of the owner takes the names of an earlier one over, which gets back what the later one gives up first.
   * @throws KERNEL_REGISTRY_CONFLICT when the name is taken; the error of a watcher that rejects it
   */
  add(item: T, owner: string, run: unknown = owner): Undo {
    const before = this.#items.get(item.name);
    if (before && (before.owner !== owner || before.run === run)) {
      const details = { kind: this.#kind, name: item.name, owner: before.owner, plugin: owner };
      throw new WaggleError('KERNEL_REGISTRY_CONFLICT', details);
    }
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
    const entry: Entry<T> = { item, owner, run };
    this.#items.set(item.name, entry);
    return async () => {
      if (entry.isGone) return;
      entry.isGone = true;
      if (this.#items.get(item.name) === entry) {
        if (before && !before.isGone) this.#items.set(item.name, before);
        else this.#items.delete(item.name);
      }
      await this.#tellRemoved([...this.#watchers], item);
    };
  }

  /** Read-only; a watcher ends with the plugin. */
  viewFor(effect: StartEffect): ReadonlyRegistry<T> {
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
