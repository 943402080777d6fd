import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { excerptOf, hasWords, queryWords, searchWords } from '#sdk';
import { anyCharacter } from '../../support/any-character.js';

const piece = fc.constantFrom(
  ...[
    'bee',
    'BEES',
    'Straße',
    'é',
    'e\u0301',
    'Å',
    '東京都',
    'に',
    'ไทย',
    '안녕',
    '𠀀𠀁',
    '𝒳',
    '🐝',
    '½',
    'ﬁ',
    'İ',
    'ς',
    'ΟΔΟΣ',
  ],
  ...[
    ' ',
    '-',
    '_',
    '.',
    '\0',
    '\n',
    '\u2028',
    '\ud800',
    '\udc00',
    '\u0301',
    '\u200d',
    '3.45',
    'a'.repeat(70),
  ],
);
const text = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
  fc.string({ unit: anyCharacter, maxLength: 20 }),
);

describe('words of a search', () => {
  it('are found as a look at all words finds them', () => {
    fc.assert(
      fc.property(text, text, (content, query) => {
        const words = queryWords(query);
        const all = [...searchWords(content)];
        const has = words.every((wanted) => all.some((word) => word.startsWith(wanted)));
        expect(hasWords(content, words)).toBe(has);
      }),
      { numRuns: 2000 },
    );
  });

  it('are found in the text that they are of, and in any that has more', () => {
    fc.assert(
      fc.property(text, text, (content, more) => {
        expect(hasWords(content, queryWords(content))).toBe(true);
        expect(hasWords(`${more} ${content}`, queryWords(content))).toBe(true);
      }),
    );
  });

  it('are letters and digits only, which mean nothing to a query language', () => {
    fc.assert(
      fc.property(text, (content) => {
        for (const word of [...searchWords(content), ...queryWords(content)])
          expect(word).toMatch(/^(?:[\p{L}\p{N}\p{Co}]+|\p{Extended_Pictographic})$/u);
      }),
    );
  });

  it('are at most 16, of the first 100,000 characters', () => {
    expect(queryWords('a b c d e f g h i j k l m n o p q r s')).toHaveLength(16);
    const long = `${'x'.repeat(99_995)} bee wasp`;
    expect([hasWords(long, ['bee']), hasWords(long, ['wasp'])]).toEqual([true, false]);
  });

  it('are shown with what is around them, on one line, wherever they are', () => {
    const hay = 'hay '.repeat(50);
    expect(excerptOf('a bee', ['bee'])).toBe('a bee');
    expect(excerptOf(`${hay}die\nBIENEN 🐝 ${hay}`, ['bienen'])).toMatch(/^….*hay die BIENEN 🐝 hay.*…$/);
    expect(excerptOf(`${'私は'.repeat(100)}東京${'私は'.repeat(100)}`, ['東京'])).toMatch(/^….*東京.*…$/);
    fc.assert(
      fc.property(text, text, (content, query) => {
        const excerpt = excerptOf(content, queryWords(query));
        expect(excerpt).not.toMatch(/[\p{Cc}\p{Cs}]/u);
        expect(excerpt.length).toBeLessThanOrEqual(242);
      }),
    );
  });
});
