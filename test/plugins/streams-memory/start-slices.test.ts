import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { StartSlices } from '../../../kernel/sdk/streams/start-slices.js';

describe('StartSlices', () => {
  it('lets few begin at once', () => {
    const slices = new StartSlices();
    expect(slices.enter()).toBeUndefined();
  });

  it('spreads many over turns of the event loop, in their order', async () => {
    const slices = new StartSlices();
    const begun: number[] = [];
    const starts = Array.from({ length: 100 }, async (_, index) => {
      await slices.enter();
      begun.push(index);
    });
    const perTurn: number[] = [];
    let before = 0;
    while (begun.length < 100) {
      await nextTurn();
      perTurn.push(begun.length - before);
      before = begun.length;
    }
    await Promise.all(starts);
    expect(begun).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(32);
    expect(perTurn.length).toBeGreaterThanOrEqual(4);
    await nextTurn();
    await nextTurn();
    expect(slices.enter()).toBeUndefined();
  });

  it('gives a late one its turn behind those that wait', async () => {
    const slices = new StartSlices();
    const begun: string[] = [];
    for (let index = 0; index < 20; index++) void slices.enter()?.then(() => begun.push('early'));
    void slices.enter()?.then(() => begun.push('late'));
    while (!begun.includes('late')) await nextTurn();
    expect(begun.at(-1)).toBe('late');
    expect(begun).toHaveLength(5);
  });
});
