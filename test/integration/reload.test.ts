import { describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { startHive } from '../support/hive.js';
import { leakCheck } from '../support/leaks.js';
import { times } from '../support/thorough.js';
import { textOf, WsClient } from '../support/ws-client.js';

const rounds = times(200);

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

describe('a task that is replaced', () => {
  it(`is run anew each time, ${rounds} times, and leaves no thread, listener or timer`, async () => {
    const leaks = leakCheck();
    const hive = await startHive({ config: { 'tasks-tinypool': { workers: 1 } } });
    const task = definePlugin({
      name: 'task-thread',
      apiVersion: 1,
      setup(ctx) {
        const module = new URL('../fixtures/tasks/thread.mjs', import.meta.url);
        ctx.registerTask({ name: 'thread', lane: 'worker', module });
        ctx.bus.on('task:succeeded', () => {});
        ctx.effect('a timer', () => {
          const timer = setInterval(() => {}, 1000);
          return () => clearInterval(timer);
        });
      },
    });
    const threadIds = new Set<number>();
    let runs = 0;
    for (let round = 0; round < rounds; round++) {
      await hive.kernel.load(task);
      // A thread that has run it is replaced with it, which takes its time.
      if (round % 10 === 0) {
        const output = await (await hive.tasks.submit('thread', null)).result;
        expect(output).toMatchObject({ runs: 1 });
        threadIds.add((output as { readonly threadId: number }).threadId);
        runs++;
      }
      await hive.kernel.unload('task-thread');
      expect(hive.tasks.countsOf('thread')).toBeUndefined();
    }
    expect(threadIds.size).toBe(runs);
    expect(hive.tasks.stats).toMatchObject({ succeeded: runs, workers: { lost: 0 } });
    await hive.close();
    await leaks.settled();
  });
});

describe('a part of the server that others stand on', () => {
  it('is replaced with all of them, and the server answers again', async () => {
    const { default: agentQueen } = await import('../../plugins/agent-queen/index.js');
    const hive = await startHive();
    const effectsNow = () => new Map(hive.kernel.inspect().plugins.map(({ id, effects }) => [id, effects]));
    const before = effectsNow();
    await hive.kernel.unload('agent-queen');
    expect(hive.kernel.state).toBe('degraded');
    await hive.kernel.load(agentQueen, { config: {} });
    expect(hive.kernel.state).toBe('ready');
    expect(effectsNow()).toEqual(before);
    const client = await WsClient.connect(`${hive.ws}/test`);
    expect((await client.ask({ content: 'Hallo' })).at(-1)).toMatchObject({ type: 'streaming_end' });
    await client.close();
    await hive.kernel.stop();
  });
});
