import { describe, expect, it } from 'vitest';
import { playRounds, shuffled } from '../bench/rig/rounds.mjs';
import { foreignShareOf, rejectionOf } from '../bench/rig/window.mjs';

const silent = () => {};
const calm = { clientShare: 0.5, foreignShare: 0.01 };
const busy = { clientShare: 0.5, foreignShare: 0.2 };

describe('a window', () => {
  it('does not count when the client is short of time or others take it', () => {
    expect(rejectionOf(calm)).toBeUndefined();
    expect(rejectionOf({ clientShare: 0.86, foreignShare: 0 })).toContain('client at 86 %');
    expect(rejectionOf({ clientShare: 0.1, foreignShare: 0.06 })).toContain('others at 6 %');
    expect(rejectionOf({ ...calm, endedEarly: 2 })).toContain('2 streams ended');
    expect(rejectionOf({ clientShare: 0.85, foreignShare: 0.05 })).toBeUndefined();
  });

  it('knows what others took, steal included', () => {
    const before = { busyNs: 100, stealNs: 0, idleNs: 100 };
    expect(foreignShareOf(before, { busyNs: 160, stealNs: 10, idleNs: 130 }, 50)).toBeCloseTo(0.2);
    // Ticks are coarser than what is known of our own processes.
    expect(foreignShareOf(before, { busyNs: 150, stealNs: 0, idleNs: 150 }, 60)).toBe(0);
  });
});

describe('rounds', () => {
  const contenders = ['a', 'b', 'c'].map((name) => ({ name }));

  it('measure everyone once each', async () => {
    const measured: string[] = [];
    const { rounds } = await playRounds({
      contenders,
      count: 3,
      say: silent,
      random: Math.random,
      measure: async ({ name }: { readonly name: string }, index: number) => {
        measured.push(name);
        return { metrics: { value: index }, window: calm };
      },
    });
    expect(rounds.map((round: object) => Object.keys(round).sort())).toEqual(
      Array.from({ length: 3 }, () => ['a', 'b', 'c']),
    );
    for (const from of [0, 3, 6]) expect(measured.slice(from, from + 3).sort()).toEqual(['a', 'b', 'c']);
  });

  it('repeat what was spoiled, and mark it when it stays so', async () => {
    let tried = 0;
    const measure = async ({ name }: { readonly name: string }) => {
      const isSpoiled = name === 'b' || (name === 'a' && tried++ === 0);
      return { metrics: { value: 1 }, window: isSpoiled ? busy : calm };
    };
    const { rounds } = await playRounds({
      contenders,
      count: 1,
      say: silent,
      random: Math.random,
      measure,
      tries: 2,
    });
    expect(tried).toBe(2);
    expect(rounds[0].a).not.toHaveProperty('busy');
    expect(rounds[0].b.busy).toContain('others at 20 %');
  });

  it('go on without whoever fails', async () => {
    const measure = async ({ name }: { readonly name: string }) => {
      if (name === 'b') throw new Error('streams are not whole');
      return { metrics: { value: 1 }, window: calm };
    };
    const { rounds, failures } = await playRounds({
      contenders,
      count: 2,
      say: silent,
      random: Math.random,
      measure,
    });
    expect(failures).toEqual([{ name: 'b', why: 'streams are not whole' }]);
    expect(rounds.map((round: object) => Object.keys(round).sort())).toEqual([
      ['a', 'c'],
      ['a', 'c'],
    ]);
  });

  it('have an order that depends on chance alone', () => {
    expect(shuffled([1, 2, 3], () => 0)).toEqual([2, 3, 1]);
    expect(shuffled([1, 2, 3], () => 0.99)).toEqual([1, 2, 3]);
  });
});
