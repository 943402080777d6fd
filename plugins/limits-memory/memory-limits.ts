import type { UsageLeft, UsageLimits } from '#kernel';
import { CountedLimits, type Taken } from '#sdk/limits';
import type { Config } from './config.js';
import { WindowCounter } from './window-counter.js';

const minuteS = 60;
const dayS = 24 * 3600;

/** Counts usage in this process. */
export class MemoryLimits extends CountedLimits {
  readonly #requests: WindowCounter;
  readonly #tokens: WindowCounter;
  readonly #replies = new Map<string, number>();

  constructor(config: Config) {
    super(config);
    this.#requests = new WindowCounter(minuteS, () => config.maxUsers);
    this.#tokens = new WindowCounter(dayS, () => config.maxUsers);
  }

  async close(): Promise<void> {
    await Promise.all([this.#requests.clear(), this.#tokens.clear()]);
  }

  protected async takeRequest(key: string, limit: number): Promise<Taken> {
    const { total, resetMs } = await this.#requests.add(key, 1);
    const isTaken = total <= limit;
    if (!isTaken) void this.#requests.giveBack(key, 1);
    return { isTaken, left: Math.max(0, limit - total), resetMs };
  }

  protected takePlace(key: string, limit: number): (() => void) | undefined {
    const running = this.#replies.get(key) ?? 0;
    if (running >= limit) return undefined;
    this.#replies.set(key, running + 1);
    return () => {
      const others = (this.#replies.get(key) ?? 1) - 1;
      if (others > 0) this.#replies.set(key, others);
      else this.#replies.delete(key);
    };
  }

  protected async takeTokens(key: string, tokens: number, limit: number) {
    const taken = await this.#tokens.take(key, tokens, limit);
    const endsAt = Date.now() + taken.resetMs;
    const settle = (used: number) => {
      const more = used - tokens;
      if (more > 0) void this.#tokens.add(key, more);
      // What was reserved in an earlier window is no credit for this one.
      else if (more < 0 && Date.now() < endsAt) void this.#tokens.giveBack(key, -more);
    };
    return { ...taken, settle };
  }

  protected async leftOf(
    key: string,
    { requestsPerMinute, repliesAtOnce, tokensPerDay }: UsageLimits,
  ): Promise<UsageLeft> {
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
}
