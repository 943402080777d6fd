import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonBody } from '#sdk/upstream';
import { anyCharacter } from '../../../support/any-character.js';
import { times } from '../../../support/thorough.js';

const long = 'aB+/='.repeat(13_200);
const request = { id: 'r', messages: [{ role: 'user' as const, content: '', images: [] }] };
const textOf = (body: object, finish?: (json: string) => string) =>
  Buffer.from(jsonBody(request, body, finish)).toString();

describe('the body of a request with pictures', () => {
  it('is what JSON.stringify writes, whatever is around them', () => {
    const text = fc.oneof(
      fc.constantFrom(
        long,
        `${long}"`,
        `${long}\\`,
        `${long}\n`,
        `${long}é`,
        `${long}\ud800`,
        `${long}\u007f`,
      ),
      fc.string({ unit: anyCharacter }),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        text,
        fc.double(),
        fc.array(tie('tree')),
        fc.dictionary(text, tie('tree')),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        expect(textOf({ value }) === Buffer.from(JSON.stringify({ value })).toString()).toBe(true);
      }),
      { numRuns: times(250) },
    );
  });

  it('is finished around them', () => {
    expect(textOf({ a: long, b: 1, c: long }, (json) => json.replace('"b":1', '"b":"é"'))).toBe(
      `{"a":"${long}","b":"é","c":"${long}"}`,
    );
  });
});
