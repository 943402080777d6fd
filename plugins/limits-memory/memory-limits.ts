import {
  type Limits,
  type Principal,
  type Reservation,
  type UsageLeft,
  type UsageLimits,
  WaggleError,
} from '#kernel';
import type { Config } from './config.js';
import { WindowCounter } from './window-counter.js';

const minuteS = 60;
const dayS = 24 * 3600;
const retryAfterMs = 1000;

/** Counts usage in this process. Users without limits cost nothing. */
export class MemoryLimits implements Limits {
  readonly #config: Config;
  /** Of users whose credentials have none. */
  #usual: UsageLimits | undefined;
  readonly #requests: WindowCounter;
  readonly #tokens: WindowCounter;
  readonly #replies = new Map<string, number>();

  constructor(config: Config) {
    this.#config = config;
    this.configure();
    this.#requests = new WindowCounter(minuteS, () => config.maxUsers);
    this.#tokens = new WindowCounter(dayS, () => config.maxUsers);
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

  reply(principal: Principal): Reservation | undefined {
    const limit = this.of(principal)?.repliesAtOnce;
    if (limit === undefined) return undefined;
    const key = keyOf(principal);
    const running = this.#replies.get(key) ?? 0;
    if (running >= limit)
      throw new WaggleError('RATE_LIMITED', { limit, what: 'replies at once', retryAfterMs });
    this.#replies.set(key, running + 1);
    return once(() => {
      const others = (this.#replies.get(key) ?? 1) - 1;
      if (others > 0) this.#replies.set(key, others);
      else this.#replies.delete(key);
    });
  }

  tokens(principal: Principal, tokens: number): undefined | Promise<Reservation> {
    const limit = this.of(principal)?.tokensPerDay;
    return limit === undefined ? undefined : this.#reserve(keyOf(principal), Math.ceil(tokens), limit);
  }

  async left(principal: Principal): Promise<UsageLeft> {
    const { requestsPerMinute, repliesAtOnce, tokensPerDay } = this.of(principal) ?? {};
    const key = keyOf(principal);
    return {
      ...(requestsPerMinute !== undefined && {
        requestsPerMinute: await this.#requests.left(key, requestsPerMinute),
      }),
      ...(repliesAtOnce !== undefined && {
        repliesAtOnce: {
          limit: repliesAtOnce,
          left: Math.max(0, repliesAtOnce - (this.#replies.get(key) ?? 0)),
        },
      }),
      ...(tokensPerDay !== undefined && { tokensPerDay: await this.#tokens.left(key, tokensPerDay) }),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#requests.clear(), this.#tokens.clear()]);
  }

  async #countRequest(key: string, limit: number): Promise<void> {
    const { total, resetMs } = await this.#requests.add(key, 1);
    if (total <= limit) return;
    void this.#requests.giveBack(key, 1);
    throw new WaggleError('RATE_LIMITED', { limit, what: 'requests a minute', retryAfterMs: resetMs });
  }

  async #reserve(key: string, tokens: number, limit: number): Promise<Reservation> {
    const { isTaken, left, resetMs } = await this.#tokens.take(key, tokens, limit);
    if (!isTaken)
      throw new WaggleError('BUDGET_EXCEEDED', { limit, wanted: tokens, left, retryAfterMs: resetMs });
    const endsAt = Date.now() + resetMs;
    return once((used) => {
      const more = Math.ceil(used) - tokens;
      if (more > 0) void this.#tokens.add(key, more);
      // What was reserved in an earlier window is no credit for this one.
      else if (more < 0 && Date.now() < endsAt) void this.#tokens.giveBack(key, -more);
    });
  }
}

/** The user, or its key where that has limits of its own. */
function keyOf({ id, limits, keyId }: Principal): string {
  return limits && keyId !== undefined ? `key ${JSON.stringify([id, keyId])}` : `user ${id}`;
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
