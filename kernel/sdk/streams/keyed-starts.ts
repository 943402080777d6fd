import type { RequestKey } from '../keyed-runs.js';

/** Starts of requests with an id: the same request waits until it is known whether the first one has begun. */
export class KeyedStarts<T> {
  readonly #starting = new Map<string, Promise<T>>();

  /** Result of `known`, or else of `start`. A promise only where `start` gives one, or another start has to end first. */
  run(key: RequestKey | undefined, known: () => T | undefined, start: () => T | Promise<T>): T | Promise<T> {
    const found = known();
    if (found) return found;
    const other = key && this.#starting.get(key.id);
    if (other) {
      const again = () => this.run(key, known, start);
      return other.then(again, again); // a failure is told to those who have asked
    }
    const starting = start();
    if (!key || !(starting instanceof Promise)) return starting;
    this.#starting.set(key.id, starting);
    const done = () => void this.#starting.delete(key.id);
    starting.then(done, done);
    return starting;
  }
}
