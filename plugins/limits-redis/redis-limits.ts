import { type Logger, type UsageLeft, type UsageLimits, WaggleError } from '#kernel';
import { randomId } from '#sdk';
import { CountedLimits, type Taken } from '#sdk/limits';
import { hashOf, type LinkTimes, preparation, RedisLink } from '#sdk/redis';
import type { Config } from './config.js';
import { LocalMinutes } from './local-minutes.js';
import { Places, type PlaceTimes, placeTimes } from './places.js';
import { scripts } from './scripts.js';
import { Settlements } from './settlements.js';
import { SharedWindow } from './shared-window.js';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
/** Time until trouble is shown. */
const troubleMs = 3000;
const closeMs = 1000;

/** Bounds that tests shorten. */
export interface LimitsTimes {
  readonly link?: LinkTimes;
  readonly places?: PlaceTimes;
}

/** Counts usage in Redis, for all servers together. */
export class RedisLimits extends CountedLimits {
  readonly #prefix: string;
  readonly #link: RedisLink;
  readonly #minutes: SharedWindow;
  readonly #days: SharedWindow;
  readonly #places: Places;
  readonly #settlements: Settlements;
  readonly #localMinutes = new LocalMinutes();

  constructor(config: Config, logger: Logger, { link: times, places = placeTimes }: LimitsTimes = {}) {
    super(config);
    this.#prefix = config.prefix;
    this.#link = new RedisLink({
      ...{ config, logger, name: 'waggle:limits' },
      ...(times && { times }),
      prepare: preparation(config, scripts),
      onUp: () => this.#places.renew(),
    });
    this.#minutes = new SharedWindow(this.#link, minuteMs, () => config.maxUsers);
    this.#days = new SharedWindow(this.#link, dayMs, () => config.maxUsers);
    this.#places = new Places(this.#link, places, logger);
    this.#settlements = new Settlements((key, id, used) => this.#days.settle(key, id, used), logger);
  }

  /** @throws ENGINE_UNUSABLE */
  start(): Promise<void> {
    return this.#link.start();
  }

  async close(): Promise<void> {
    this.#places.close();
    await this.#settlements.close(closeMs);
    await this.#link.close();
  }

  get engineCommands(): Readonly<Record<string, number>> {
    return this.#link.commands;
  }

  get trouble(): string | undefined {
    return this.#link.awayMs < troubleMs ? undefined : 'the engine that counts for all servers is away';
  }

  /** While Redis is away, this server counts by itself: what is running can still be read and cancelled. */
  protected async takeRequest(key: string, limit: number): Promise<Taken> {
    try {
      return await this.#minutes.take(this.#keyOf(key, 'm'), 1, limit);
    } catch (error) {
      if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE')) throw error;
      return this.#localMinutes.take(key, limit);
    }
  }

  protected takePlace(key: string, limit: number, replyId: string): Promise<(() => void) | undefined> {
    return this.#places.take(this.#keyOf(key, 'r'), limit, hashOf(replyId));
  }

  protected async takeTokens(key: string, tokens: number, limit: number) {
    const name = this.#keyOf(key, 'd');
    const id = randomId();
    const settle = (used: number) => this.#settlements.add(name, id, used);
    const { isUp } = this.#link;
    try {
      return { ...(await this.#days.take(name, tokens, limit, id)), settle };
    } catch (error) {
      // It may have been reserved all the same.
      if (isUp) settle(0);
      throw error;
    }
  }

  protected async leftOf(
    key: string,
    { requestsPerMinute, repliesAtOnce, tokensPerDay }: UsageLimits,
  ): Promise<UsageLeft> {
    const [requests, taken, tokens] = await Promise.all([
      requestsPerMinute && this.#minutes.left(this.#keyOf(key, 'm'), requestsPerMinute),
      repliesAtOnce && this.#places.taken(this.#keyOf(key, 'r')),
      tokensPerDay && this.#days.left(this.#keyOf(key, 'd'), tokensPerDay),
    ]);
    return {
      ...(requests && { requestsPerMinute: requests }),
      ...(repliesAtOnce && {
        repliesAtOnce: { limit: repliesAtOnce, left: Math.max(0, repliesAtOnce - (taken ?? 0)) },
      }),
      ...(tokens && { tokensPerDay: tokens }),
    };
  }

  /** All counts of a user are in one slot of a Redis Cluster. Names of keys hold no ids; JSON tells single surrogates apart. */
  #keyOf(key: string, kind: 'm' | 'd' | 'r'): string {
    return `{${this.#prefix}:y:${hashOf(JSON.stringify(key))}}:${kind}`;
  }
}
