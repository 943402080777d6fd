import { describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { startHive } from '../support/hive.js';
import { textOf, WsClient } from '../support/ws-client.js';

const rounds = 200;

/** An agent that says which edition it is. */
function edition(number: number) {
  return definePlugin({
    name: 'agent-edition',
    apiVersion: 1,
    setup: (ctx) => void ctx.addAgent(new ScriptedAgent('edition', [text(`number ${number}`), done])),
  });
}

describe('an agent that is replaced while a WebSocket stays open', () => {
  it(`answers each time, ${rounds} times, and is unknown in between`, async () => {
    const hive = await startHive({
      plugins: [edition(0)],
      config: { 'endpoint-ws': { maxFramesPerSecond: 10_000 } },
    });
    const client = await WsClient.connect(`${hive.ws}/test`);
    for (let round = 1; round <= rounds; round++) {
      await hive.kernel.unload('agent-edition');
      const [refused] = await client.ask({ content: 'x', agent: 'edition' });
      expect(refused).toMatchObject({ type: 'error', code: 'AGENT_UNKNOWN' });
      await hive.kernel.load(edition(round));
      expect(textOf(await client.ask({ content: 'x', agent: 'edition' }))).toBe(`number ${round}`);
    }
    expect(hive.kernel.state).toBe('ready');
    await client.close();
    await hive.close();
  });
});

describe('a part of the server that others stand on', () => {
  it('is replaced with all of them, and the server answers again', async () => {
    const { default: agentQueen } = await import('../../plugins/agent-queen/index.js');
    const hive = await startHive();
    const before = hive.kernel.inspect().plugins.map(({ id, effects }) => ({ id, effects }));
    await hive.kernel.unload('agent-queen');
    expect(hive.kernel.state).toBe('degraded');
    await hive.kernel.load(agentQueen, { config: {} });
    expect(hive.kernel.state).toBe('ready');
    expect(hive.kernel.inspect().plugins.map(({ id, effects }) => ({ id, effects }))).toEqual(before);
    const client = await WsClient.connect(`${hive.ws}/test`);
    expect((await client.ask({ content: 'Hallo' })).at(-1)).toMatchObject({ type: 'streaming_end' });
    await client.close();
    await hive.kernel.stop();
  });
});
