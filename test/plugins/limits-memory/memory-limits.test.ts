import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Principal, Reservation, UsageLimits } from '#kernel';
import { type Config, config } from '../../../plugins/limits-memory/config.js';
import { MemoryLimits } from '../../../plugins/limits-memory/memory-limits.js';
import { times } from '../../support/thorough.js';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const limitsOf = (options: Partial<Config> = {}) => new MemoryLimits(config.parse(options));
const user = (limits?: UsageLimits, more: Partial<Principal> = {}): Principal => ({
  id: 'ann',
  scopes: [],
  ...(limits && { limits }),
  ...more,
});
/** The code of an error, or what else came. */
const outcome = (attempt: () => unknown): Promise<unknown> =>
  Promise.resolve()
    .then(attempt)
    .then(
      () => 'ok',
      ({ code }: { readonly code: string }) => code,
    );
const fakeTime = () => vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });

afterEach(() => {
  vi.useRealTimers();
});

describe('a user without limits', () => {
  it.each([
    ['without any', user()],
    ['with none of this kind', user({ connectionsAtOnce: 3 })],
  ])('%s is not counted, and costs no promise', async (_, principal) => {
    const limits = limitsOf();
    expect(limits.request(principal)).toBeUndefined();
    expect(limits.reply(principal, 'r1')).toBeUndefined();
    expect(limits.tokens(principal, 1e9)).toBeUndefined();
    expect(await limits.left(principal)).toEqual({});
  });
});

describe('requests a minute', () => {
  it('are refused above the limit until the minute is over, and a refusal counts nothing', async () => {
    fakeTime();
    const limits = limitsOf();
    const ann = user({ requestsPerMinute: 3 });
    for (let n = 0; n < 3; n++) await limits.request(ann);
    vi.advanceTimersByTime(20_000);
    for (let n = 0; n < 3; n++)
      await expect(limits.request(ann)).rejects.toMatchObject({
        code: 'RATE_LIMITED',
        details: { limit: 3, what: 'requests a minute', retryAfterMs: 40_000 },
      });
    expect(await limits.left(user({ requestsPerMinute: 4 }))).toEqual({
      requestsPerMinute: { limit: 4, left: 1, resetMs: 40_000 },
    });
    vi.advanceTimersByTime(40_000);
    expect(await limits.left(ann)).toEqual({ requestsPerMinute: { limit: 3, left: 3 } });
    await limits.request(ann);
    expect(await limits.left(ann)).toEqual({ requestsPerMinute: { limit: 3, left: 2, resetMs: minuteMs } });
  });

  it.each<[what: string, first: Partial<Principal>, second: Partial<Principal>, isShared: boolean]>([
    ['one key', { keyId: 'a' }, { keyId: 'a' }, true],
    ['two keys of one user', { keyId: 'a' }, { keyId: 'b' }, false],
    ['two users', { id: 'ann' }, { id: 'bob' }, false],
    ['keys of one name of two users', { keyId: 'a' }, { id: 'bob', keyId: 'a' }, false],
    ['a key and a user who is called like it', { keyId: 'a' }, { id: '["ann","a"]' }, false],
    [
      'two keys under the limits of the config',
      { keyId: 'a', limits: undefined },
      { keyId: 'b', limits: undefined },
      true,
    ],
  ])('count together for %s: see the last column', async (_, first, second, isShared) => {
    const limits = limitsOf({ limits: { requestsPerMinute: 1 } });
    const own = { requestsPerMinute: 1 };
    await limits.request(user(own, first));
    expect(await outcome(() => limits.request(user(own, second)))).toBe(isShared ? 'RATE_LIMITED' : 'ok');
  });

  it('of the config count for users without limits of their own only', async () => {
    const limits = limitsOf({ limits: { requestsPerMinute: 1 } });
    expect(limits.of(user())).toEqual({ requestsPerMinute: 1 });
    expect(limits.request(user({}))).toBeUndefined();
    await limits.request(user());
    expect(await outcome(() => limits.request(user()))).toBe('RATE_LIMITED');
  });
});

describe('replies at once', () => {
  it('are refused above the limit until one is settled', async () => {
    const limits = limitsOf();
    const ann = user({ repliesAtOnce: 2 });
    const place = (of = ann) => limits.reply(of, 'r1') as Reservation;
    const [first] = [place(), place()];
    expect(() => place()).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        details: { limit: 2, what: 'replies at once', retryAfterMs: 1000 },
      }),
    );
    expect(await limits.left(ann)).toEqual({ repliesAtOnce: { limit: 2, left: 0 } });
    first?.settle(0);
    first?.settle(0);
    expect(await limits.left(ann)).toEqual({ repliesAtOnce: { limit: 2, left: 1 } });
    place();
    expect(() => place()).toThrow();
    expect(place(user({ repliesAtOnce: 2 }, { id: 'bob' }))).toBeDefined();
  });
});

describe('tokens a day', () => {
  const ann = user({ tokensPerDay: 1000 });
  const leftOf = async (limits: MemoryLimits) => (await limits.left(ann)).tokensPerDay?.left;

  it('are reserved, and settled with what was used', async () => {
    fakeTime();
    const limits = limitsOf();
    const first = await limits.tokens(ann, 600);
    vi.advanceTimersByTime(minuteMs);
    await expect(limits.tokens(ann, 401)).rejects.toMatchObject({
      code: 'BUDGET_EXCEEDED',
      details: { limit: 1000, wanted: 401, left: 400, retryAfterMs: dayMs - minuteMs },
    });
    expect(await leftOf(limits)).toBe(400);
    first?.settle(99.5);
    first?.settle(0);
    expect(await leftOf(limits)).toBe(900);
    // More than was reserved is used all the same.
    (await limits.tokens(ann, 10))?.settle(950);
    expect(await leftOf(limits)).toBe(0);
    await expect(limits.tokens(ann, 1)).rejects.toMatchObject({ details: { left: 0 } });
    vi.advanceTimersByTime(dayMs);
    expect(await leftOf(limits)).toBe(1000);
  });

  it.each<[when: string, next: (limits: MemoryLimits) => Promise<unknown> | undefined]>([
    ['has ended', async () => void vi.advanceTimersByTime(dayMs)],
    [
      'has ended and another one has begun',
      (limits) => {
        vi.advanceTimersByTime(dayMs);
        return limits.tokens(ann, 1);
      },
    ],
    ['was forgotten', (limits) => limits.tokens(user({ tokensPerDay: 1 }, { id: 'bob' }), 1)],
  ])('that were reserved are no credit once their day %s', async (_, next) => {
    fakeTime();
    const limits = limitsOf({ maxUsers: 1 });
    const reserved = await limits.tokens(ann, 600);
    await next(limits);
    reserved?.settle(0);
    await Promise.resolve();
    expect(await leftOf(limits)).toBeLessThanOrEqual(1000);
    expect(await outcome(() => limits.tokens(ann, 1001))).toBe('BUDGET_EXCEEDED');
  });

  it('are never overspent, and none is refused that there is room for, however many ask at once', async () => {
    const round = fc.record({
      asked: fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 12 }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(round, { maxLength: 5 }), async (rounds) => {
        const limits = limitsOf();
        let left = 1000;
        for (const { asked, used } of rounds) {
          const expected = asked.map((tokens) => {
            if (tokens > left) return 'BUDGET_EXCEEDED';
            left -= tokens;
            return 'ok';
          });
          const reservations: [Reservation, number][] = [];
          const outcomes = asked.map((tokens) =>
            outcome(
              async () => void reservations.push([(await limits.tokens(ann, tokens)) as Reservation, tokens]),
            ),
          );
          expect(await Promise.all(outcomes)).toEqual(expected);
          expect(await leftOf(limits)).toBe(left);
          for (const [reservation, tokens] of reservations) {
            const spent = Math.ceil(tokens * used);
            reservation.settle(spent);
            left += tokens - spent;
          }
        }
        expect(await leftOf(limits)).toBe(left);
        await limits.close();
      }),
      { numRuns: times(200) },
    );
  });
});

describe('the counts', () => {
  const limited = { requestsPerMinute: 5, tokensPerDay: 5 };

  it('are bounded in number, timers included, and the ones that end first go first', async () => {
    fakeTime();
    const limits = limitsOf({ maxUsers: 10 });
    const of = (n: number) => user(limited, { id: `user ${n}` });
    for (let n = 0; n < 500; n++) {
      await limits.request(of(n));
      await limits.tokens(of(n), 5);
    }
    expect(vi.getTimerCount()).toBe(20);
    expect(await limits.left(of(489))).toMatchObject({ tokensPerDay: { left: 5 } });
    expect(await limits.left(of(490))).toMatchObject({
      tokensPerDay: { left: 0 },
      requestsPerMinute: { left: 4 },
    });
    // Those that have ended make room.
    vi.advanceTimersByTime(dayMs);
    expect(vi.getTimerCount()).toBe(0);
    for (let n = 0; n < 10; n++) await limits.tokens(of(n), 5);
    expect(await limits.left(of(0))).toMatchObject({ tokensPerDay: { left: 0 } });
    await limits.close();
  });

  it('end with the plugin, and keep no process alive', async () => {
    const limits = limitsOf();
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await limits.request(user(limited));
    await limits.tokens(user(limited), 5);
    // Timers that keep a process alive are listed.
    expect(timers()).toBe(before);
    await limits.close();
    vi.useRealTimers();
    expect(await limits.left(user(limited))).toMatchObject({ tokensPerDay: { left: 5 } });
  });
});
