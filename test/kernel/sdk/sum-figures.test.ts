import { describe, expect, it } from 'vitest';
import { sumFigures } from '#sdk';

describe('figures of several processes', () => {
  it.each<[string, readonly [object, ...object[]], object]>([
    [
      'numbers are added',
      [
        { a: 1, b: { c: 2 } },
        { a: 3, b: { c: 4 } },
      ],
      { a: 4, b: { c: 6 } },
    ],
    [
      'of durations the longest counts',
      [
        { lagMs: 3, n: 1 },
        { lagMs: 7, n: 1 },
        { lagMs: 5, n: 1 },
      ],
      { lagMs: 7, n: 3 },
    ],
    ['fractions leave no trace', [{ a: 0.1 }, { a: 0.2 }], { a: 0.3 }],
    ['what only some have is there', [{ a: 1 }, { b: { c: 2 } }], { a: 1, b: { c: 2 } }],
    [
      'all else is as in the first',
      [
        { v: '1', l: [1], n: null },
        { v: '2', l: [2], n: 3 },
      ],
      { v: '1', l: [1], n: 3 },
    ],
    ['one alone stays', [{ a: 1, s: 'x' }], { a: 1, s: 'x' }],
  ])('%s', (_, all, sum) => expect(sumFigures(all)).toEqual(sum));
});
