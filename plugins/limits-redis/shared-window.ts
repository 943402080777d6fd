import type { Remaining } from '#kernel';
import type { Taken } from '#sdk/limits';
import type { RedisLink } from '#sdk/redis';
import { settlePoints, takePoints } from './scripts.js';

/** A window as it was seen last: its end by the clock of Redis, what is counted, and the number of changes. */
interface Seen {
  readonly endsAt: number;
  readonly count: number;
  readonly changes: number;
}

const none: Seen = { endsAt: 0, count: 0, changes: 0 };

/** Counts points by key for all servers, each in windows of one duration, which begin with their first points. */
export class SharedWindow {
  readonly #link: Pick<RedisLink, 'run'>;
  readonly #durationMs: number;
  readonly #maxKeys: () => number;
  /** The latest last. What Redis has lost is written again from here. */
  readonly #seen = new Map<string, Seen>();

  constructor(link: Pick<RedisLink, 'run'>, durationMs: number, maxKeys: () => number) {
    this.#link = link;
    this.#durationMs = durationMs;
    this.#maxKeys = maxKeys;
  }

  /** The number of keys that are remembered. */
  get size(): number {
    return this.#seen.size;
  }

  /** Adds points unless that exceeds the limit; `id` is for their settlement. @throws ENGINE_UNAVAILABLE */
  async take(key: string, points: number, limit: number, id = ''): Promise<Taken> {
    const args = [String(points), String(limit), String(this.#durationMs), id];
    const { isDone, seen, nowMs } = await this.#run(takePoints, key, args);
    const resetMs = seen.endsAt === 0 ? this.#durationMs : Math.max(1, seen.endsAt - nowMs);
    return { isTaken: isDone, left: Math.max(0, limit - seen.count), resetMs };
  }

  /** Replaces the points of a reservation by those that were used. Later calls do nothing. @throws ENGINE_UNAVAILABLE */
  async settle(key: string, id: string, used: number): Promise<void> {
    await this.#run(settlePoints, key, [id, String(used)]);
  }

  /** @throws ENGINE_UNAVAILABLE */
  async left(key: string, limit: number): Promise<Remaining> {
    const args = ['0', String(limit), String(this.#durationMs), ''];
    const { seen, nowMs } = await this.#run(takePoints, key, args);
    if (seen.endsAt === 0) return { limit, left: limit };
    const resetMs = Math.max(1, seen.endsAt - nowMs);
    return { limit, left: Math.max(0, limit - seen.count), resetMs };
  }

  async #run(script: typeof takePoints, key: string, args: readonly string[]) {
    const { endsAt, count, changes } = this.#seen.get(key) ?? none;
    const last = [endsAt, count, changes].map(String);
    const reply = (await this.#link.run(script, [key], [...last, ...args])) as readonly unknown[];
    const [isDone, n, e, r, nowMs] = reply.map(Number) as [number, number, number, number, number];
    const seen = { count: n, endsAt: e, changes: r };
    if (e !== 0) this.#remember(key, seen, nowMs);
    return { isDone: isDone === 1, seen, nowMs };
  }

  #remember(key: string, seen: Seen, nowMs: number): void {
    this.#seen.delete(key);
    this.#seen.set(key, seen);
    for (const [oldest, { endsAt }] of this.#seen) {
      if (endsAt > nowMs && this.#seen.size <= this.#maxKeys()) return;
      this.#seen.delete(oldest);
    }
  }
}
