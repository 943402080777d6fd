import { expect, it } from 'vitest';
import { expectValid } from '#sdk';
import { z } from '#zod';

const schema = z.strictObject({ count: z.int().min(1).default(7), name: z.string().optional() });

it('gives valid input with its defaults', async () => {
  expect(await expectValid(schema, { name: 'a' })).toEqual({ count: 7, name: 'a' });
});

it('refuses other input with the path of each issue, worded for a client', async () => {
  await expect(expectValid(schema, { count: 0, nam: 'a' })).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    details: {
      issues: ['count: expected integer >= 1, got number 0', 'nam: unknown key (known: count, name)'],
    },
  });
});
