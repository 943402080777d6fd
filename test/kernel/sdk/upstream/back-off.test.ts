import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BackOff } from '#sdk/upstream';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

describe('a back-off', () => {
  it.each<[tolerated: number, longestMs: readonly number[]]>([
    [0, [100, 200, 400, 800, 1600, 3200, 5000, 5000]],
    [2, [0, 0, 100, 200, 400]],
  ])(
    'of which %i failures are none lasts twice as long each time, and not the same for all',
    (tolerated, all) => {
      const backOff = new BackOff(tolerated);
      for (const longestMs of all) {
        backOff.failed();
        expect(backOff.leftMs).toBeLessThanOrEqual(longestMs);
        expect(backOff.leftMs).toBeGreaterThanOrEqual(longestMs / 2);
      }
    },
  );

  it('lets one try when it is over, and the others wait for how that ends', () => {
    const backOff = new BackOff();
    expect([backOff.mayTry(), backOff.mayTry()]).toEqual([true, true]);
    backOff.failed();
    expect(backOff.mayTry()).toBe(false);
    vi.advanceTimersByTime(100);
    expect([backOff.mayTry(), backOff.mayTry()]).toEqual([true, false]);
    backOff.succeeded();
    expect([backOff.mayTry(), backOff.mayTry()]).toEqual([true, true]);
  });
});
