import { describe, expect, it } from 'vitest';
import { aheadOf, byRival, judge, rowsOf, usedOf } from '../bench/rig/judgement.mjs';
import { quartiles } from '../bench/rig/quartiles.mjs';

/** One object a contender, with its figure in each round. */
const roundsOf = (figures: Record<string, readonly number[]>) => {
  const count = Math.max(...Object.values(figures).map((each) => each.length));
  return Array.from({ length: count }, (_, index) =>
    Object.fromEntries(
      Object.entries(figures).map(([name, values]) => [name, { metrics: { value: values[index] } }]),
    ),
  );
};

describe('quartiles', () => {
  it('lie between neighbours', () => {
    expect(quartiles([4, 1, 3, 2])).toEqual({ q1: 1.75, median: 2.5, q3: 3.25, count: 4 });
  });

  it('of one number are that number', () => {
    expect(quartiles([7])).toEqual({ q1: 7, median: 7, q3: 7, count: 1 });
  });

  it('leave out what is no number, and are absent where nothing is left', () => {
    expect(quartiles([Number.NaN, 5, undefined])).toMatchObject({ median: 5, count: 1 });
    expect(quartiles([undefined])).toBeUndefined();
  });
});

describe('a gate', () => {
  const gate = { text: 'at most twice', ours: 'us', theirs: 'limit', factor: 2 };

  it('compares figures of the same round', () => {
    expect(usedOf(gate, roundsOf({ us: [10, 30], limit: [10, 10] }))).toEqual([0.5, 1.5]);
  });

  it('holds up to its bound, and not above', () => {
    expect(judge(gate, roundsOf({ us: [20], limit: [10] }))).toMatchObject({ state: 'holds', used: 1 });
    expect(judge(gate, roundsOf({ us: [20.1], limit: [10] }))).toMatchObject({ state: 'fails' });
  });

  it('may allow something on top', () => {
    const rounds = roundsOf({ us: [1.6], limit: [0.4] });
    expect(judge({ ...gate, factor: 1.5, plus: 1 }, rounds)).toMatchObject({ state: 'holds', used: 1 });
  });

  it('may ask for at least so much', () => {
    const atLeast = { ...gate, factor: 0.9, atLeast: true };
    expect(judge(atLeast, roundsOf({ us: [90], limit: [100] }))).toMatchObject({ state: 'holds' });
    expect(judge(atLeast, roundsOf({ us: [89], limit: [100] }))).toMatchObject({ state: 'fails' });
  });

  it('is decided by the median of all rounds', () => {
    expect(judge(gate, roundsOf({ us: [10, 90, 11], limit: [10, 10, 10] }))).toMatchObject({
      state: 'holds',
    });
  });

  it('may ask for quartiles apart', () => {
    const apart = { ...gate, factor: 1, apart: true };
    expect(judge(apart, roundsOf({ us: [8, 9, 9], limit: [10, 11, 12] }))).toMatchObject({ state: 'holds' });
    expect(judge(apart, roundsOf({ us: [8, 9, 13], limit: [9, 11, 14] }))).toMatchObject({ state: 'fails' });
  });

  it('is not measured where a side is missing', () => {
    expect(judge(gate, roundsOf({ us: [1] }))).toEqual({ text: 'at most twice', state: 'not measured' });
    expect(judge(gate, [])).toMatchObject({ state: 'not measured' });
  });

  it('says when the machine was busy', () => {
    const rounds = [{ us: { metrics: { value: 1 }, busy: 'others' }, limit: { metrics: { value: 1 } } }];
    expect(judge(gate, rounds)).toMatchObject({ state: 'holds', busy: true });
  });
});

describe('rows', () => {
  const contenders = [{ name: 'us', ours: true }, { name: 'limit' }, { name: 'peer' }, { name: 'slow' }];
  const rounds = roundsOf({ us: [10, 12, 11], limit: [5, 6, 5], peer: [8, 8, 8], slow: [9, 13, 20] });
  const rows = rowsOf(contenders, rounds, 'limit');

  it('have the ratio to the reference of the same round', () => {
    expect(rows[0]).toMatchObject({ name: 'us', ours: true, ratio: { median: 2, count: 3 } });
  });

  it('know who is ahead outside the quartiles; a reference is no peer', () => {
    expect(aheadOf('us', rows, { references: ['limit'] })).toEqual(['peer']);
  });

  it('know it where more is better', () => {
    expect(aheadOf('us', rows, { atLeast: true, references: ['limit'] })).toEqual([]);
    const quick = rowsOf(contenders, roundsOf({ us: [1, 1], slow: [2, 3] }), 'us');
    expect(aheadOf('us', quick, { atLeast: true })).toEqual(['slow']);
  });

  it('have the ratio to a reference of their own where they name one', () => {
    const [own, common] = rowsOf(
      [
        { name: 'us', reference: 'peer' },
        { name: 'slow', reference: 'limit' },
      ],
      rounds,
      'limit',
    );
    expect(own).toMatchObject({ reference: 'peer', ratio: { median: 1.375 } });
    expect(common).not.toHaveProperty('reference');
  });

  it('compare a peer with the one of ours that it names', () => {
    const all = rowsOf(
      [
        { name: 'us, a', ours: true },
        { name: 'us, b', ours: true },
        { name: 'peer', rival: 'us, b' },
      ],
      roundsOf({ 'us, a': [1], 'us, b': [9], peer: [5] }),
      'us, a',
    );
    expect(aheadOf('us, a', all)).toEqual(['peer']);
    expect(byRival(['peer', 'us, a'], { rows: all, ours: 'us, a' })).toEqual({
      'us, b': ['peer'],
      'us, a': ['us, a'],
    });
  });
});
