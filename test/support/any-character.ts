import fc from 'fast-check';

const surrogates = { from: 0xd800, count: 0x800 };

/**
 * Any character of Unicode, for `fc.string`. Its own `binary` is the same, but makes a table of all of them each time it
 * is used, which takes most of a second.
 */
export const anyCharacter = fc.integer({ min: 0, max: 0x10ffff - surrogates.count }).map(
  (place) => String.fromCodePoint(place < surrogates.from ? place : place + surrogates.count),
  (value) => {
    const [character, ...others] = typeof value === 'string' ? value : '';
    if (character === undefined || others.length > 0) throw new Error('not one character');
    const point = character.codePointAt(0) as number;
    return point < surrogates.from ? point : point - surrogates.count;
  },
);
