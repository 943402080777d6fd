import { type Logger, WaggleError } from '#kernel';
import type { RedisLink } from '#sdk/redis';
import { renewPlaces, takePlace } from './scripts.js';

/** Bounds of the leases of places. */
export interface PlaceTimes {
  /** Time until a place is free whose server is lost. */
  readonly leaseMs: number;
  readonly renewMs: number;
}

export const placeTimes: PlaceTimes = { leaseMs: 15_000, renewMs: 5000 };

/** Places for replies, over all servers. Each is held by a lease, which ends with its server. */
export class Places {
  readonly #link: Pick<RedisLink, 'run' | 'send' | 'isUp'>;
  readonly #times: PlaceTimes;
  readonly #logger: Logger;
  /** The ids of those held here, by key. */
  readonly #held = new Map<string, Set<string>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(link: Pick<RedisLink, 'run' | 'send' | 'isUp'>, times: PlaceTimes, logger: Logger) {
    this.#link = link;
    this.#times = times;
    this.#logger = logger;
  }

  /** The result frees the place; undefined where none is free. @throws ENGINE_UNAVAILABLE */
  async take(key: string, limit: number, id: string): Promise<(() => void) | undefined> {
    const [isTaken] = await this.#run(key, limit, id);
    if (isTaken !== 1) return undefined;
    const held = this.#held.get(key) ?? new Set();
    this.#held.set(key, held.add(id));
    this.#timer ??= setInterval(() => this.renew(), this.#times.renewMs);
    return () => this.#free(key, id);
  }

  /** The number of those taken, on all servers. @throws ENGINE_UNAVAILABLE */
  async taken(key: string): Promise<number> {
    const [, count] = await this.#run(key, 0, '');
    return count;
  }

  /** Writes all leases again. */
  renew(): void {
    if (!this.#link.isUp) return;
    for (const [key, ids] of this.#held)
      this.#link.run(renewPlaces, [key], [String(this.#times.leaseMs), ...ids]).catch(this.#failed);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #run(key: string, limit: number, id: string): Promise<readonly [isTaken: number, count: number]> {
    const args = [String(limit), String(this.#times.leaseMs), id];
    return (await this.#link.run(takePlace, [key], args)) as [number, number];
  }

  #free(key: string, id: string): void {
    const held = this.#held.get(key);
    held?.delete(id);
    if (held?.size === 0) this.#held.delete(key);
    if (this.#held.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    // Without Redis its lease ends by itself.
    if (this.#link.isUp) this.#link.send('ZREM', key, id).catch(this.#failed);
  }

  readonly #failed = (error: unknown) => {
    if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
      this.#logger.error({ err: error }, 'the place of a reply cannot be renewed or freed');
  };
}
