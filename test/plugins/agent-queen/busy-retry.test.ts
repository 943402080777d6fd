import { describe, expect, it } from 'vitest';
import { WaggleError } from '#kernel';
import { BusyRetry } from '../../../plugins/agent-queen/busy-retry.js';

const busy = (retryAfterMs?: number) =>
  new WaggleError('AGENT_UNAVAILABLE', {
    agent: 'a',
    why: 'x',
    busy: 429,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });

describe('the retry of a busy agent', () => {
  /** The first waits for an agent that always says so. */
  const waitsFor = (failure: unknown) => {
    const retry = new BusyRetry(120_000);
    return Array.from({ length: 12 }, () => retry.waitMs(failure) ?? 0);
  };

  it.each<[says: string, waitMs: number | undefined, least: readonly number[]]>([
    ['nothing', undefined, [500, 1000, 2000, 4000, 8000, 8000]],
    ['to come again at once', 0, [1, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 8000]],
    ['to come again soon', 100, [100, 100, 100, 100, 160, 320]],
    ['to come again later', 3000, [3000, 3000, 3000]],
  ])('with an agent that says %s', (_, told, least) => {
    const waits = waitsFor(busy(told));
    for (const [place, leastMs] of least.entries()) {
      expect(waits[place]).toBeGreaterThanOrEqual(leastMs);
      expect(waits[place]).toBeLessThanOrEqual(leastMs * 1.25);
    }
  });

  it.each<[failure: string, unknown]>([
    ['its time would be over', busy(200_000)],
    ['it is not busy', new WaggleError('AGENT_UNAVAILABLE', { agent: 'a', why: 'x' })],
    ['it broke', new Error('x')],
  ])('ends where %s', (_, failure) => {
    expect(new BusyRetry(120_000).waitMs(failure)).toBeUndefined();
  });
});
