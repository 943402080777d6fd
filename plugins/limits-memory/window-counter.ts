import type { Remaining } from '#kernel';
import { LinkedList } from '#sdk';
import type { Taken } from '#sdk/limits';
import { RateLimiterMemory } from './rate-limiter.js';

/** A key's time of counting, which begins with its first points. */
interface Window {
  readonly key: string;
  readonly endsAt: number;
}

/** Counts points by key, each in windows of one duration. The number of keys is bounded. */
export class WindowCounter {
  readonly #limiter: RateLimiterMemory;
  readonly #maxKeys: () => number;
  /** All that count. They last equally long, so the first one ends first. */
  readonly #windows = new LinkedList<Window>();
  /** The last `take` of each key that is under way. */
  readonly #taking = new Map<string, Promise<Taken>>();

  constructor(durationS: number, maxKeys: () => number) {
    // Limits differ from key to key, so the limiter only counts.
    this.#limiter = new RateLimiterMemory({
      keyPrefix: '',
      points: Number.MAX_SAFE_INTEGER,
      duration: durationS,
    });
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#windows.size;
  }

  /** Adds points unless that exceeds the limit. */
  take(key: string, points: number, limit: number): Promise<Taken> {
    const before = this.#taking.get(key);
    // One after another: points count before they are refused, and must not get others refused meanwhile.
    const taking = before
      ? before.then(() => this.#take(key, points, limit))
      : this.#take(key, points, limit);
    this.#taking.set(key, taking);
    return taking.finally(() => {
      if (this.#taking.get(key) === taking) this.#taking.delete(key);
    });
  }

  /** Adds points, above any limit as well. */
  async add(key: string, points: number): Promise<{ readonly total: number; readonly resetMs: number }> {
    const { consumedPoints, msBeforeNext, isFirstInDuration } = await this.#limiter.penalty(key, points);
    if (isFirstInDuration) this.#opened({ key, endsAt: Date.now() + msBeforeNext });
    return { total: consumedPoints, resetMs: msBeforeNext };
  }

  /** Takes points back that were added in a window that has not ended. */
  async giveBack(key: string, points: number): Promise<void> {
    const { isFirstInDuration } = await this.#limiter.reward(key, points);
    // The window is forgotten: the next one must not begin with a credit.
    if (isFirstInDuration) await this.#limiter.delete(key);
  }

  async left(key: string, limit: number): Promise<Remaining> {
    const found = await this.#limiter.get(key);
    if (!found || found.msBeforeNext <= 0) return { limit, left: limit };
    return { limit, left: Math.max(0, limit - found.consumedPoints), resetMs: found.msBeforeNext };
  }

  /** Forgets everything; the limiter has a timer for each key. */
  async clear(): Promise<void> {
    for (let first = this.#windows.first; first; first = this.#windows.first) {
      this.#windows.remove(first);
      await this.#limiter.delete(first.item.key);
    }
  }

  async #take(key: string, points: number, limit: number): Promise<Taken> {
    const { total, resetMs } = await this.add(key, points);
    if (total <= limit) return { isTaken: true, left: limit - total, resetMs };
    await this.giveBack(key, points);
    return { isTaken: false, left: Math.max(0, limit - total + points), resetMs };
  }

  #opened(window: Window): void {
    this.#windows.push(window);
    const now = Date.now();
    for (let first = this.#windows.first; first; first = this.#windows.first) {
      const { key, endsAt } = first.item;
      if (endsAt > now && this.#windows.size <= this.#maxKeys()) return;
      this.#windows.remove(first);
      // After its end the key may have another window.
      if (endsAt > now) void this.#limiter.delete(key);
    }
  }
}
