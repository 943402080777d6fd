import { describe, expect, it } from 'vitest';
import { requestKey } from '../../../kernel/sdk/keyed-runs.js';

const fingerprint = (request: object) => requestKey('u', 'k', request)?.fingerprint;
const long = 'x'.repeat(100_000);

describe('the fingerprint of a request', () => {
  it('is that of its content, whatever the order of its keys', () => {
    expect(fingerprint({ a: 1, b: { c: long, d: [2] } })).toBe(
      fingerprint({ b: { d: [2], c: `${long}` }, a: 1 }),
    );
  });

  it.each<[string, object, object]>([
    ['long texts that end differently', { a: `${long}1` }, { a: `${long}2` }],
    ['long texts of different lengths', { a: long }, { a: `${long}x` }],
    ['long texts at different keys', { a: long, b: '' }, { a: '', b: long }],
    ['a long text and none', { a: long }, {}],
  ])('differs for %s', (_, one, other) => {
    expect(fingerprint(one)).not.toBe(fingerprint(other));
  });
});
