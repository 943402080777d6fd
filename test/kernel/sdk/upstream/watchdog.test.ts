import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Watchdog } from '#sdk/upstream';

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ watch: fc.constantFrom(10, 50, 100), phase: fc.constantFrom('first', 'next') }),
  },
  { weight: 1, arbitrary: fc.constant('pause' as const) },
  { weight: 4, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 60 }) }) },
);

describe('a watchdog', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const watchdog = () => {
    const caller = new AbortController();
    return { caller, dog: new Watchdog(caller.signal) };
  };

  it('expires when the wait of this moment is too long, never before, and names it; it leaves no timer', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { dog } = watchdog();
        let waited: { readonly timeoutMs: number; readonly phase: string } | undefined;
        let leftMs = 0;
        for (const each of steps) {
          if (each === 'pause') {
            dog.pause();
            waited = undefined;
          } else if ('watch' in each) {
            dog.watch(each.watch, each.phase);
            waited = { timeoutMs: each.watch, phase: each.phase };
            leftMs = each.watch;
          } else {
            vi.advanceTimersByTime(each.passMs);
            leftMs -= each.passMs;
          }
          const isOver = waited !== undefined && leftMs <= 0;
          expect(dog.expired).toEqual(isOver ? waited : undefined);
          expect(dog.signal.aborted).toBe(isOver);
          if (isOver) break;
        }
        dog.stop();
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('aborts when its caller does, for the same reason, until it is stopped', () => {
    const [heard, stopped] = [watchdog(), watchdog()];
    heard.caller.abort('enough');
    expect(heard.dog.signal.reason).toBe('enough');
    expect(new Watchdog(heard.caller.signal).signal.reason).toBe('enough');
    stopped.dog.stop();
    stopped.caller.abort('enough');
    expect([heard, stopped].map(({ dog }) => [dog.signal.aborted, dog.expired])).toEqual([
      [true, undefined],
      [false, undefined],
    ]);
  });
});
