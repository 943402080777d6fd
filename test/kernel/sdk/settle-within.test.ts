import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { deferred, settleWithin } from '#sdk';
import { never } from '../../support/kernel.js';

const longMs = 60_000;
const boom = new Error('boom');

describe('settleWithin', () => {
  it.each([
    ['true when the promise resolves before the time is over', Promise.resolve(7), longMs, true],
    [
      'true when the promise resolves before the signal',
      Promise.resolve(),
      new AbortController().signal,
      true,
    ],
    ['false when the time is over', never(), 1, false],
    ['false without time', never(), 0, false],
    ['false when the signal has aborted already', never(), AbortSignal.abort(), false],
  ])('resolves with %s', async (_, promise, limit, settled) => {
    expect(await settleWithin(promise, limit)).toBe(settled);
  });

  it('resolves with false when the signal aborts, and listens no longer', async () => {
    const abort = new AbortController();
    const settled = settleWithin(never(), abort.signal);
    abort.abort();
    expect(await settled).toBe(false);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  it('passes a rejection on', async () => {
    await expect(settleWithin(Promise.reject(boom), longMs)).rejects.toBe(boom);
  });

  it('ignores a rejection that comes too late', async () => {
    const { promise, reject } = deferred<never>();
    expect(await settleWithin(promise, 1)).toBe(false);
    reject(boom);
    await new Promise(setImmediate);
  });
});
