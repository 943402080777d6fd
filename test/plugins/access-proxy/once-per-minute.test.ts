import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OncePerMinute } from '../../../plugins/access-proxy/once-per-minute.js';

describe('an address that insists', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('is let through once a minute, whatever others do', () => {
    const log = new OncePerMinute();
    expect(['a', 'a', 'b', 'a'].map((each) => log.allows(each))).toEqual([true, false, true, false]);
    vi.advanceTimersByTime(59_999);
    expect(log.allows('a')).toBe(false);
    vi.advanceTimersByTime(1);
    expect(['a', 'a', 'b'].map((each) => log.allows(each))).toEqual([true, false, true]);
  });

  it('is not let through while a thousand others were, and later it is', () => {
    const log = new OncePerMinute();
    for (let count = 0; count < 1000; count++) expect(log.allows(`${count}`)).toBe(true);
    expect(log.allows('more')).toBe(false);
    vi.advanceTimersByTime(60_000);
    expect(log.allows('more')).toBe(true);
  });
});
