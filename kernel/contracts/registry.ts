import type { Undo } from './effect.js';

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
