import type { Limits, Principal, Reservation, UsageLeft, UsageLimits } from '../../contracts/access.js';
import { WaggleError } from '../../errors.js';
import type { LimitsConfig } from './config.js';

/** The outcome of an attempt to take points of a limit. */
export interface Taken {
  readonly isTaken: boolean;
  /** Points that are left, without those that were refused. */
  readonly left: number;
  /** Time until all of them are there again. */
  readonly resetMs: number;
}

const retryAfterMs = 1000;

/** Decides which limits hold for a user, and refuses what is above them. A subclass counts. Users without limits cost nothing. */
export abstract class CountedLimits implements Limits {
  readonly #config: LimitsConfig;
  /** Of users whose credentials have none. */
  #usual: UsageLimits | undefined;

  constructor(config: LimitsConfig) {
    this.#config = config;
    this.configure();
  }

  /** Takes changed values of the config over. Counts go on. */
  configure(): void {
    const { limits } = this.#config;
    this.#usual = Object.values(limits).some((limit) => limit !== undefined) ? limits : undefined;
  }

  of({ limits = this.#usual }: Principal): UsageLimits | undefined {
    return limits;
  }

  request(principal: Principal): void | Promise<void> {
    const limit = this.of(principal)?.requestsPerMinute;
    if (limit !== undefined) return this.#countRequest(keyOf(principal), limit);
  }

  reply(principal: Principal, replyId: string): Reservation | undefined | Promise<Reservation> {
    const limit = this.of(principal)?.repliesAtOnce;
    if (limit === undefined) return undefined;
    const place = this.takePlace(keyOf(principal), limit, replyId);
    return place instanceof Promise ? place.then((taken) => placed(taken, limit)) : placed(place, limit);
  }

  tokens(principal: Principal, tokens: number): undefined | Promise<Reservation> {
    const limit = this.of(principal)?.tokensPerDay;
    return limit === undefined ? undefined : this.#reserve(keyOf(principal), Math.ceil(tokens), limit);
  }

  async left(principal: Principal): Promise<UsageLeft> {
    return this.leftOf(keyOf(principal), this.of(principal) ?? {});
  }

  /** Counts one more request of this minute, unless that exceeds the limit. */
  protected abstract takeRequest(key: string, limit: number): Promise<Taken>;

  /** Takes a place for a reply; the result frees it. Undefined where none is free. */
  protected abstract takePlace(
    key: string,
    limit: number,
    replyId: string,
  ): (() => void) | undefined | Promise<(() => void) | undefined>;

  /** Reserves tokens of this day, unless that exceeds the limit. `settle` is called with the number that was used. */
  protected abstract takeTokens(
    key: string,
    tokens: number,
    limit: number,
  ): Promise<Taken & { readonly settle: (used: number) => void }>;

  protected abstract leftOf(key: string, limits: UsageLimits): Promise<UsageLeft>;

  async #countRequest(key: string, limit: number): Promise<void> {
    const { isTaken, resetMs } = await this.takeRequest(key, limit);
    if (!isTaken)
      throw new WaggleError('RATE_LIMITED', { limit, what: 'requests a minute', retryAfterMs: resetMs });
  }

  async #reserve(key: string, tokens: number, limit: number): Promise<Reservation> {
    const { isTaken, left, resetMs, settle } = await this.takeTokens(key, tokens, limit);
    if (!isTaken)
      throw new WaggleError('BUDGET_EXCEEDED', { limit, wanted: tokens, left, retryAfterMs: resetMs });
    return once((used) => settle(Math.ceil(used)));
  }
}

/** The user, or its key where that has limits of its own. */
function keyOf({ id, limits, keyId }: Principal): string {
  return limits && keyId !== undefined ? `key ${JSON.stringify([id, keyId])}` : `user ${id}`;
}

/** @throws RATE_LIMITED */
function placed(free: (() => void) | undefined, limit: number): Reservation {
  if (!free) throw new WaggleError('RATE_LIMITED', { limit, what: 'replies at once', retryAfterMs });
  return once(free);
}

function once(settle: (used: number) => void): Reservation {
  let isSettled = false;
  return {
    settle(used) {
      if (isSettled) return;
      isSettled = true;
      settle(used);
    },
  };
}
