import { describe, expect, it } from 'vitest';
import type { PluginContext } from '../../../kernel/contracts/plugin-context.js';
import agentQueen from '../../../plugins/agent-queen/index.js';
import storeMemory from '../../../plugins/store-memory/index.js';
import { ScriptedAgent } from '../../support/agents.js';
import { plugin, recordingLogger, startKernel } from '../../support/kernel.js';

/** What a start with these candidates and agents warns of. */
async function warnings(
  candidates: string[],
  names: readonly string[],
  late: readonly string[] = [],
  more: object = {},
) {
  const { logger, lines } = recordingLogger();
  const agents = plugin('agents', {
    setup(ctx: PluginContext) {
      for (const name of names) ctx.addAgent(new ScriptedAgent(name, []));
      ctx.onReady(() => {
        for (const name of late) ctx.addAgent(new ScriptedAgent(name, []));
      });
    },
  });
  const kernel = await startKernel([storeMemory, [agentQueen, { config: { candidates, ...more } }], agents], {
    logger,
  });
  await kernel.stop();
  return lines.filter(({ msg }) => msg.startsWith('no plugin has registered'));
}

describe('a candidate that no plugin has registered', () => {
  it.each<[string, string[], string[], string[], object[]]>([
    ['a typo', ['olama'], ['ollama'], [], [{ agent: 'olama', meant: 'ollama' }]],
    ['a stranger', ['ollama', 'somebody-else'], ['ollama'], [], [{ agent: 'somebody-else' }]],
    ['several', ['a-one', 'b-two'], ['ollama'], [], [{ agent: 'a-one' }, { agent: 'b-two' }]],
    ['one that is named twice', ['olama', 'olama'], ['ollama'], [], [{ agent: 'olama' }]],
    ['none', ['ollama'], ['ollama'], [], []],
    ['none, where it comes when all is ready', ['ollama'], [], ['ollama'], []],
  ])('is a warning once the server is ready: %s', async (_, candidates, names, late, expected) => {
    const told = await warnings(candidates, names, late);
    expect(told).toMatchObject(expected.map((each) => ({ level: 'warn', plugin: 'agent-queen', ...each })));
    expect(told).toHaveLength(expected.length);
  });

  it('is told apart from delegates, routes and patterns', async () => {
    const more = { delegates: ['orders', 'support-*'], routes: [{ match: 'invoice', agent: 'biling' }] };
    const told = await warnings(['ollama', '*'], ['ollama', 'billing'], [], more);
    expect(told.map(({ agent, meant, msg }) => [agent, meant, msg])).toEqual([
      ['orders', undefined, 'no plugin has registered this agent of `delegates`'],
      ['biling', 'billing', 'no plugin has registered this agent of `routes`'],
    ]);
  });
});
