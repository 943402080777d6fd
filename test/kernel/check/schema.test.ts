import type { StandardSchemaV1 } from '@standard-schema/spec';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { nearest } from '#sdk';
import type { Origin } from '../../../kernel/check.js';
import { fromEnvironment } from '../../../kernel/host/config/environment-texts.js';
import { check } from '../../../kernel/sdk/check-request.js';

async function issues(schema: StandardSchemaV1, input: unknown, origin?: Origin): Promise<readonly string[]> {
  return (await check(schema, input, origin)).issues ?? [];
}

/** All texts came from the environment. */
const fromEnv = fromEnvironment({ prefix: () => '', variable: () => 'NAME' });

describe('a check', () => {
  it('gives the value with its defaults when nothing is wrong', async () => {
    const schema = z.strictObject({ port: z.int().default(80) });
    expect(await check(schema, {})).toEqual({ value: { port: 80 } });
  });

  it.each<[string, z.ZodType, unknown, string]>([
    ['a wrong type', z.int().min(1).max(65_535), '80a', 'expected integer 1-65535, got string "80a"'],
    [
      'a number out of range',
      z.int().min(1).max(65_535),
      65_536,
      'expected integer 1-65535, got number 65536',
    ],
    ['a fraction', z.int().min(0), 1.5, 'expected integer >= 0, got number 1.5'],
    ['an integer without limits', z.int(), 'x', 'expected integer, got string "x"'],
    ['a number with an upper limit', z.number().max(2), 3, 'expected number <= 2, got number 3'],
    ['a text', z.string(), 5, 'expected string, got number 5'],
    [
      'a text that is too short',
      z.string().min(1).max(3),
      '',
      'expected string 1-3 characters, got string ""',
    ],
    ['a choice', z.enum(['a', 'b']), 'c', 'expected one of "a", "b", got string "c"'],
    ['a literal', z.literal('on'), 'off', 'expected "on", got string "off"'],
    ['a boolean', z.boolean(), 'yes', 'expected true or false, got string "yes"'],
    ['a list', z.array(z.string()), {}, 'expected list, got map'],
    ['a list that is too long', z.array(z.int()).max(2), [1, 2, 3], 'expected list of <=2 items'],
    ['a list that is empty', z.array(z.int()).min(1), [], 'expected list of >=1 items'],
    ['a list of another length', z.array(z.int()).length(2), [1], 'expected list of exactly 2 items'],
    ['a list with words of its own', z.array(z.int()).max(1, 'expected one'), [1, 2], 'expected one'],
    ['a map', z.object({}), [], 'expected map, got list'],
    ['null', z.string(), null, 'expected string, got null'],
    [
      'several ways',
      z.union([z.int(), z.boolean()]),
      'x',
      'expected integer or true or false, got string "x"',
    ],
  ])('words %s', async (_, schema, input, expected) => {
    const wrapped = z.strictObject({ port: schema });
    const got = await issues(wrapped, { port: input });
    expect(got).toHaveLength(1);
    // The limits of exact integers are left out, those of the schema are not.
    expect(got[0]).toBe(`port: ${expected}`);
  });

  it('says what is missing, with its path into maps and lists', async () => {
    const schema = z.strictObject({ servers: z.array(z.strictObject({ url: z.string() })) });
    expect(await issues(schema, { servers: [{ url: 'a' }, {}] })).toEqual([
      'servers.1.url: expected string, got nothing',
    ]);
    expect(await issues(schema, {})).toEqual(['servers: expected list, got nothing']);
  });

  it('finds all issues at once', async () => {
    const schema = z.strictObject({ a: z.int(), b: z.strictObject({ c: z.boolean() }) });
    expect(await issues(schema, { a: 'x', b: { c: 1, d: 2 }, e: 3 })).toEqual([
      'a: expected integer, got string "x"',
      'b.c: expected true or false, got number 1',
      'b.d: unknown key, did you mean "c"?',
      'e: unknown key, did you mean "a"?',
    ]);
  });

  it('names the nearest known key for a typo, and all of them where none is near', async () => {
    const schema = z.strictObject({ baseUrl: z.string().optional(), model: z.string().optional() });
    expect(await issues(schema, { baseurl: 'x', temperature: 1 })).toEqual([
      'baseurl: unknown key, did you mean "baseUrl"?',
      'temperature: unknown key (known: baseUrl, model)',
    ]);
  });

  it('leaves the word to a rule of the schema that says more than the type', async () => {
    const schema = z.object({
      url: z.string().refine((text) => text.startsWith('http'), 'must begin with http'),
    });
    expect(await issues(schema, { url: 'ftp' })).toEqual(['url: must begin with http']);
  });

  it('takes a rule that throws for a mistake', async () => {
    const schema = z.string().transform(() => {
      throw new Error('cannot be read');
    });
    expect(await issues(schema, 'x')).toEqual(['cannot be read']);
  });

  it('takes any Standard Schema, without a description of its keys and with asynchronous rules', async () => {
    const schema: StandardSchemaV1<unknown, string> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value) =>
          value === 'good'
            ? { value }
            : { issues: [{ message: 'not good', path: [{ key: 'deep' }, Symbol('s')] }] },
      },
    };
    expect(await check(schema, 'good')).toEqual({ value: 'good' });
    expect(await issues(schema, 'bad')).toEqual(['deep.Symbol(s): not good']);
  });

  it('begins each mistake with where the value was written', async () => {
    const origin: Origin = { prefix: () => 'my.yaml: queen.', variable: () => undefined };
    const schema = z.strictObject({ agent: z.string() });
    expect(await issues(schema, { agent: 1 }, origin)).toEqual([
      'my.yaml: queen.agent: expected string, got number 1',
    ]);
    expect(await issues(schema, 'x', origin)).toEqual(['my.yaml: queen: expected map, got string "x"']);
  });
});

describe('a value from the environment', () => {
  const schema = z.strictObject({
    port: z.int().optional(),
    ratio: z.number().optional(),
    on: z.boolean().optional(),
    name: z.string().optional(),
    either: z.union([z.boolean(), z.int()]).optional(),
    text: z.union([z.string(), z.int()]).optional(),
    list: z.array(z.int()).optional(),
    more: z.record(z.string(), z.int()).optional(),
  });

  it('becomes the number or boolean that the schema asks for, and stays a text where one is asked for', async () => {
    const input = {
      port: '80',
      ratio: '-0.5',
      on: 'true',
      name: '123',
      either: 'false',
      text: '1',
      list: ['1', '2'],
      more: { a: '3' },
    };
    expect(await check(schema, input, fromEnv)).toEqual({
      value: {
        port: 80,
        ratio: -0.5,
        on: true,
        name: '123',
        either: false,
        text: '1',
        list: [1, 2],
        more: { a: 3 },
      },
    });
  });

  it('is never printed', async () => {
    const input = { port: 'hunter2', on: 'hunter2', list: ['hunter2'] };
    expect(await issues(schema, input, fromEnv)).toEqual([
      // biome-ignore-start lint/suspicious/noTemplateCurlyInString: placeholders as users write them
      'NAME: port: expected integer, got string from ${NAME}',
      'NAME: on: expected true or false, got string from ${NAME}',
      'NAME: list.0: expected integer, got string from ${NAME}',
      // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above
    ]);
  });

  it('is not read as something else when it was written in the file', async () => {
    expect(await issues(schema, { port: '80' })).toEqual(['port: expected integer, got string "80"']);
  });
});

describe('a secret in the file', () => {
  it('is not printed, also within a list', async () => {
    const schema = z.strictObject({
      apiKey: z.int(),
      tokens: z.array(z.string()),
      auth: z.object({ password: z.int() }),
    });
    const got = await issues(schema, { apiKey: 'hunter2', tokens: [1234], auth: { password: 'hunter2' } });
    expect(got).toEqual([
      'apiKey: expected integer, got string',
      'tokens.0: expected string, got number',
      'auth.password: expected integer, got string',
    ]);
  });
});

describe('the nearest known word', () => {
  it('is found whatever the case, and not invented', () => {
    expect(nearest('PORT', ['host', 'port'])).toBe('port');
    expect(nearest('prot', ['host', 'port'])).toBe('port');
    expect(nearest('xylophone', ['host', 'port'])).toBeUndefined();
    expect(nearest('x', [])).toBeUndefined();
  });

  it('is the word itself whenever that is known', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { selector: (word) => word.toLowerCase(), minLength: 1 }),
        (known) => {
          for (const word of known) expect(nearest(word, known)).toBe(word);
        },
      ),
    );
  });
});
