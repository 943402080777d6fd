import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { PluginContext, TaskDefinition } from '#kernel';
import agentQueen from '../../../plugins/agent-queen/index.js';
import { isNamedBy, toolNameOf } from '../../../plugins/agent-queen/tool-name.js';
import storeMemory from '../../../plugins/store-memory/index.js';
import { plugin, rejection, startKernel } from '../../support/kernel.js';

const tool = (name: string, more: object = {}) =>
  ({ name, lane: 'main', tool: true, input: z.object({}), run: () => 1, ...more }) as TaskDefinition;

/** Why a server with these tasks does not start. */
async function refusal(tasks: readonly TaskDefinition[], queenFirst: boolean) {
  const third = plugin('third', {
    setup(ctx: PluginContext) {
      for (const task of tasks) ctx.registerTask(task);
    },
  });
  const queen = [agentQueen, { config: {} }] as const;
  const order = queenFirst ? [storeMemory, queen, third] : [storeMemory, third, queen];
  return String(await rejection(startKernel(order as never)));
}

describe('the name of a tool', () => {
  it.each([
    ['text:count', 'text_count'],
    ['mcp:files:read_file', 'mcp_files_read_file'],
    ['a.b-c', 'a_b-c'],
    ['x'.repeat(100), 'x'.repeat(64)],
  ])('%s is %s for models', (name, known) => expect(toolNameOf(name)).toBe(known));

  it.each<[string[], string, boolean]>([
    [['text:*'], 'text:count', true],
    [['text:*'], 'texts', false],
    [['*'], 'anything', true],
    [['*:read'], 'mcp:files:read', true],
    [['a*b*c'], 'a-b-c', true],
    [['a*b*c'], 'acb', false],
    [['a*a'], 'a', false],
    [['text:count'], 'text:count', true],
    [['text.count'], 'text:count', false],
    [[], 'text:count', false],
  ])('patterns %j name %s: %s', (patterns, name, is) => expect(isNamedBy(patterns, name)).toBe(is));
});

describe('a start is refused', () => {
  it.each([true, false])(
    'for two tools that models could not tell apart (the queen first: %s)',
    async (first) => {
      const why = await refusal([tool('text:count'), tool('text_count')], first);
      expect(why).toContain('models know it as "text_count"');
      expect(why).toContain(first ? 'text:count' : 'text_');
    },
  );

  it.each<[string, TaskDefinition, RegExp]>([
    ['whose name is that of a tool that asks agents', tool('consult:me'), /"consult_…" is the name of tools/],
    ['without an input', tool('a', { input: undefined }), /needs an "input"/],
    ['whose input is no object', tool('a', { input: z.string() }), /needs an "input"/],
    [
      'whose input cannot be described',
      tool('a', { input: z.object({ a: z.custom() }) }),
      /needs an "input"/,
    ],
  ])('for a tool %s', async (_, task, why) => expect(await refusal([task], true)).toMatch(why));
});
