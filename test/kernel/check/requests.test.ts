import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fromClient } from '#sdk';
import { check } from '../../../kernel/sdk/check-request.js';
import { chatBody } from '../../../plugins/endpoint-chat/body.js';
import { chatBody as openaiBody, textBody } from '../../../plugins/endpoint-completions/body.js';
import { submission } from '../../../plugins/endpoint-tasks/docs.js';
import { clientFrames } from '../../../plugins/endpoint-ws/frames.js';

const megabyte = 1_000_000;
const zeros = (count: number) => Array(Math.floor(count)).fill(0);
const ask = { model: 'eliza', messages: [{ role: 'user', content: 'x' }] };
const chat = { content: 'x', user_id: 'u' };
const toolCall = (text: string) => ({
  ...ask,
  messages: [{ role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: text } }] }],
});
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** Mistakes in requests of `size` bytes, and how many of them there are at the most. */
const rows: readonly (readonly [string, z.ZodType, (size: number) => object, number])[] = [
  ['one long unknown key', chatBody, (size) => ({ ...chat, ['x'.repeat(size)]: 1 }), 1],
  [
    'many unknown keys',
    chatBody,
    (size) => ({ ...chat, ...Object.fromEntries(zeros(size / 10).map((_, key) => [`key${key}`, 1])) }),
    10,
  ],
  ['one long unknown key of a task', submission, (size) => ({ ['x'.repeat(size)]: 1 }), 1],
  ['a list of stops', chatBody, (size) => ({ ...chat, options: { stop: zeros(size / 2) } }), 1],
  [
    'a list of stops in a frame',
    clientFrames.message,
    (size) => ({ ...chat, options: { stop: zeros(size / 2) } }),
    1,
  ],
  ['stops as OpenAI has them', openaiBody, (size) => ({ ...ask, stop: zeros(size / 2) }), 1],
  ['messages', openaiBody, (size) => ({ ...ask, messages: zeros(size / 2) }), 1],
  ['parts', openaiBody, (size) => ({ ...ask, messages: [{ role: 'user', content: zeros(size / 2) }] }), 1],
  [
    'parts of an image',
    openaiBody,
    (size) => ({ ...ask, messages: [{ role: 'user', content: zeros(size / 3).map(() => ({})) }] }),
    1,
  ],
  ['tools', openaiBody, (size) => ({ ...ask, tools: zeros(size / 2) }), 1],
  [
    'tool calls',
    openaiBody,
    (size) => ({ ...ask, messages: [{ role: 'assistant', content: 'x', tool_calls: zeros(size / 2) }] }),
    1,
  ],
  ['prompts', textBody, (size) => ({ model: 'eliza', prompt: zeros(size / 2) }), 1],
  [
    'a long text in the place of a number',
    chatBody,
    (size) => ({ ...chat, options: { seed: 'x'.repeat(size) } }),
    1,
  ],
  ['a long text in the place of a choice', chatBody, (size) => ({ ...chat, priority: 'x'.repeat(size) }), 1],
  ['a long id', chatBody, (size) => ({ ...chat, request_id: 'x'.repeat(size) }), 1],
  ['a long type', clientFrames.task, (size) => ({ task: 'x'.repeat(size) }), 1],
  [
    'a long image',
    openaiBody,
    (size) => ({
      ...ask,
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x'.repeat(size) } }] }],
    }),
    1,
  ],
];

describe('a mistake in a request', () => {
  it.each(rows)('is said in few words: %s', async (_, schema, input, count) => {
    const { issues = [] } = await check(schema, input(megabyte), fromClient);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.length).toBeLessThanOrEqual(count);
    expect(issues.join('').length).toBeLessThan(count * 600);
    expect(issues.join('')).not.toContain('did you mean');
  });

  it.each(rows)('costs no more than its size asks for: %s', async (_, schema, input) => {
    const spent = async (size: number, enoughMs = 0) => {
      const asked = input(size);
      let least = Number.POSITIVE_INFINITY;
      // The least of several, so that whatever else this machine does counts for nothing.
      for (let round = 0; round < 7 && least >= enoughMs; round++) {
        const from = performance.now();
        await check(schema, asked, fromClient);
        least = Math.min(least, performance.now() - from);
      }
      return least;
    };
    await spent(1000);
    const parsed = async () => {
      const text = JSON.stringify(input(megabyte));
      const from = performance.now();
      JSON.parse(text);
      return performance.now() - from;
    };
    const readMs = Math.max(await parsed(), await parsed(), 1);
    // To read a body of that size takes a moment, too; Levenshtein and a text for each mistake took a hundred times that.
    expect(await spent(megabyte, 30 * readMs)).toBeLessThan(30 * readMs);
  });

  it('does not copy what is right', async () => {
    const schema = z.object({ input: z.unknown() });
    const input = { deep: [{ er: 1 }] };
    const { value } = await check(schema, { input }, fromClient);
    expect(value?.input).toBe(input);
  });

  it.each([
    [{ input: 5 }, ['expected map, got nothing']],
    [{ text: 1, texts: 2 }, ['text: expected string, got number 1', 'texts: unknown key (known: text)']],
  ])('is said with its place: %j', async (input, expected) => {
    const { issues = [] } = await check(z.strictObject({ text: z.string() }), input, fromClient);
    for (const each of expected.slice(1)) expect(issues).toContain(each);
    expect(issues.length).toBeGreaterThan(0);
  });

  it('is found also beyond the first ten lists', async () => {
    const schema = z.array(z.string());
    const { issues } = await check(schema, [...Array(1000).fill('x'), ...zeros(1000)], fromClient);
    expect(issues).toHaveLength(10);
    expect(issues?.[0]).toBe('1000: expected string, got number 0');
  });

  it('is not what a model has made of the arguments of a tool', async () => {
    for (const text of [deep(100_000), '{', 'Rome', ''])
      expect(await check(openaiBody, toolCall(text), fromClient)).not.toHaveProperty('issues');
  });
});
