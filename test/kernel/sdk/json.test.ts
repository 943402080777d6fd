import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonDepthLimit, outerText, parseJson } from '../../../kernel/sdk/json.js';

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('parseJson', () => {
  it('reads what JSON.stringify writes, and refuses exactly what is nested deeper than the limit', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.nat({ max: 6 }), (text, limit) => {
        const value: unknown = JSON.parse(text);
        if (depthOf(value) <= limit) expect(parseJson(text, limit)).toEqual(value);
        else expect(() => parseJson(text, limit)).toThrow(expect.objectContaining({ code: 'TOO_DEEP' }));
      }),
    );
  });

  it('takes as many levels as the limit names', () => {
    expect(depthOf(parseJson(nested(jsonDepthLimit)))).toBe(jsonDepthLimit);
    expect(() => parseJson(nested(jsonDepthLimit + 1))).toThrow(
      expect.objectContaining({ code: 'TOO_DEEP', details: { depthLimit: jsonDepthLimit } }),
    );
  });

  it('refuses a million levels without walking into them', () => {
    expect(() => parseJson(nested(1_000_000))).toThrow(expect.objectContaining({ code: 'TOO_DEEP' }));
  });

  it('does not count brackets within texts', () => {
    expect(parseJson('["[[[[", "\\"[[[", "\\\\"]', 1)).toEqual(['[[[[', '"[[[', '\\']);
  });

  it.each(['', '{', '[1,]', '"open', '{"a":1}}', ']]]][[[[', 'NaN', '{a:1}'])(
    'refuses %j and says why',
    (text) => {
      expect(() => parseJson(text)).toThrow(
        expect.objectContaining({ code: 'INVALID_JSON', message: expect.stringMatching(/^invalid JSON: ./) }),
      );
    },
  );

  it('takes a mark of the order of bytes at its beginning, and nowhere else', () => {
    expect(parseJson('\ufeff{"a":"\ufeff"}')).toEqual({ a: '\ufeff' });
    expect(() => parseJson('\ufeff\ufeff{}')).toThrow(expect.objectContaining({ code: 'INVALID_JSON' }));
  });

  it('does not let a "__proto__" reach any prototype', () => {
    const value = parseJson('{"__proto__":{"polluted":true}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect({}).not.toHaveProperty('polluted');
  });
});

describe('the text at a key of the outermost map', () => {
  const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value));
  const key = fc.constantFrom('requestId', 'a', '');
  const entry = fc.tuple(
    fc.oneof(key, fc.string()),
    fc.oneof(
      json,
      key.map((text) => JSON.stringify(text)),
    ),
  );

  it('is the one that JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.array(entry), fc.constantFrom('', ' ', '\n\t'), (entries, blank) => {
        const fields = entries.map(([name, value]) => `${JSON.stringify(name)}${blank}:${blank}${value}`);
        const text = `{${fields.join(`${blank},`)}${blank}}`;
        const given: unknown = JSON.parse(text).requestId;
        const found = outerText(text, 'requestId', 100);
        // Of several with one name the last text counts here.
        if (entries.filter(([name]) => name === 'requestId').length < 2)
          expect(found).toBe(typeof given === 'string' && given.length <= 100 ? given : undefined);
      }),
      { numRuns: 500 },
    );
  });

  it('is looked for in whatever there is, once over', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'{}[]":,\\a ') }),
        (text) => void outerText(text, 'a', 5),
      ),
    );
  });
});
