import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fromClient } from '#sdk';
import type { Origin } from '../../../kernel/check.js';
import { check as checkAny } from '../../../kernel/sdk/check-request.js';

const many = 5000;
const config: Origin = { prefix: () => '', variable: () => undefined };

const check = (schema: StandardSchemaV1, input: unknown, origin: Origin = fromClient) =>
  checkAny(schema, input, origin);

/** How often a schema was asked for the words of one mistake. */
let worded = 0;
const error = () => {
  worded++;
  return 'is wrong';
};
const number = z.number({ error });
const name = z.string({ error }).min(2, { error });
const part = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text', { error }), text: name }),
    z.object({ type: z.literal('image', { error }), url: name }),
  ],
  { error },
);
const kinds = z.discriminatedUnion('type', [
  z.looseObject({ type: z.enum(['file', 'sound']) }),
  z.looseObject({ type: z.literal('text'), text: name }),
]);
const content = z.union([name, z.array(part)], { error }).nullish();
const message = z.object({ role: name, content }, { error });

const list = (item: unknown) => Array.from({ length: many }, () => item);
const map = (item: unknown) => Object.fromEntries(list(item).map((each, index) => [`key${index}`, each]));

describe('a request with very many issues', () => {
  it.each<[string, z.ZodType, unknown]>([
    ['a list of wrong items', z.array(number), list('a')],
    ['a list of nothing', z.array(number), list(null)],
    ['a list in a map', z.object({ all: z.array(number).optional() }), { all: list('a') }],
    ['a list beside a key that is missing', z.object({ a: name, all: z.array(number) }), { all: list('a') }],
    ['two lists', z.object({ a: z.array(number), b: z.array(name) }), { a: list('a'), b: list(1) }],
    ['lists in lists', z.array(z.array(number)), list(['a', 'b'])],
    ['one list of many in lists', z.array(z.array(number)), [[1], list('a')]],
    ['a list of one of several types', z.array(z.union([number, z.array(number)], { error })), list('a')],
    ['a list that may be null', z.object({ all: z.array(number).nullish() }), { all: list('a') }],
    ['maps without their keys', z.array(z.object({ name })), list({})],
    ['maps with wrong keys', z.array(z.object({ name })), list({ name: 1 })],
    ['maps with unknown keys', z.array(z.strictObject({}, { error })), list({ a: 1 })],
    ['texts that are too short', z.array(name), list('')],
    ['values by any key', z.record(z.string(), number), map('a')],
    ['messages that are none', z.object({ messages: z.array(message) }), { messages: list(0) }],
    [
      'parts that are none',
      z.object({ messages: z.array(message) }),
      { messages: [{ role: 'me', content: list(0) }] },
    ],
    ['parts without a type', z.array(message), [{ role: 'me', content: list({}) }]],
    ['parts of an unknown type', z.array(message), [{ role: 'me', content: list({ type: 'x' }) }]],
    ['parts without their text', z.array(message), [{ role: 'me', content: list({ type: 'text' }) }]],
    ['parts with wrong text', z.array(message), [{ role: 'me', content: list({ type: 'text', text: 1 }) }]],
    ['few parts each', z.array(message), list({ role: 'me', content: [0, {}] })],
  ])('is told a few of them: %s', async (_, schema, input) => {
    worded = 0;
    const { issues = [] } = await check(schema, input);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.length).toBeLessThanOrEqual(10);
    expect(worded).toBeLessThan(100);
    // The author of a config is told all.
    worded = 0;
    expect((await check(schema, input, config)).issues?.length).toBeGreaterThan(0);
    expect(worded).toBeGreaterThanOrEqual(many);
  });

  it('is told a few of them by a schema that does not say what it takes', async () => {
    const issues = list(0).map((_, index) => ({ message: 'x'.repeat(10_000), path: [index] }));
    const schema: StandardSchemaV1 = {
      '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) },
    };
    const { issues: found = [] } = await check(schema, []);
    expect(found).toHaveLength(10);
    expect(found.join().length).toBeLessThan(6000);
  });

  it('gets no suggestions, and its keys are cut', async () => {
    const schema = z.strictObject({ content: z.string() });
    const { issues } = await check(schema, { content: 'x', contents: 1, ['k'.repeat(1 << 20)]: 1 });
    expect(issues).toEqual([
      'contents: unknown key (known: content)',
      `${'k'.repeat(100)}…: unknown key (known: content)`,
    ]);
    const { issues: others } = await check(schema, { content: 'x', ...map(1) });
    expect(others).toHaveLength(10);
  });

  it.each<[string, z.ZodType, unknown]>([
    ['a rule reads other types', z.array(z.coerce.number()), list('1')],
    ['there is a least length', z.array(z.coerce.number()).min(many), list('1')],
    ['a rule looks at the whole', z.array(z.coerce.number()).refine((all) => all.length === many), list('1')],
    [
      'a transform comes first',
      z.preprocess((all) => (all as unknown[]).map(String), z.array(name)),
      list(10),
    ],
    [
      'one of several maps fits',
      z.array(z.union([z.object({ a: name }), z.object({ b: name })])),
      list({ b: 'me' }),
    ],
    [
      'one of several kinds fits, and others say less of their keys',
      z.array(kinds),
      list({ type: 'text', text: 'me', more: 1 }),
    ],
    [
      'a rule reads other types beside them',
      z.array(z.object({ at: z.coerce.number(), part: kinds })),
      list({ at: '1', part: { type: 'text', text: 'me' } }),
    ],
    ['a map has any keys', z.record(z.string(), z.coerce.number()), map('1')],
  ])('is only seen where the schema itself refuses it: %s', async (_, schema, input) => {
    expect((await check(schema, input)).issues).toBeUndefined();
  });

  it.each<[string, z.ZodType, unknown, RegExp]>([
    ['a list', z.array(number).max(16), list(1), /<=16 items/],
    ['a list of exactly so many', z.array(number).length(1), list(1), /1 items/],
    ['a list of one of several types', z.union([name, z.array(name).max(16)]), list('me'), /<=16 items/],
    ['a list in a list', z.array(z.array(number).max(16)), [list(1)], /^0: .*<=16 items/],
    ['a list of which some are wrong, too', z.array(number).max(16), [1, 'a', ...list(1)], /<=16 items/],
  ])('is told where there is too much: %s', async (_, schema, input, message) => {
    const { issues = [] } = await check(schema, input);
    expect(issues[0]).toMatch(message);
    expect(issues.length).toBeLessThanOrEqual(2);
  });

  it('keeps the last mistake of a long list that is right but for it', async () => {
    const { issues } = await check(z.array(number), [...list(1), 'a']);
    expect(issues).toEqual([`${many}: expected number, got string "a"`]);
  });

  it('is checked by rules that take their time', async () => {
    const slow = z.array(number).refine(async (all) => all.length < many);
    const { issues = [] } = await check(slow, list('a'));
    expect(issues).toHaveLength(10);
    expect((await check(slow, list(1))).issues).toHaveLength(1);
  });
});
