import { expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { startHive } from '../../support/hive.js';

it('messages that wait for others of their conversation are answered before the server stops', async () => {
  const agent = new ScriptedAgent('a', ['wait', text('.'), done]);
  const plugin = definePlugin({ name: 'a', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
  const hive = await startHive({
    plugins: [plugin],
    config: { 'agent-queen': { candidates: ['a'] } },
    drainTimeoutMs: 20_000,
  });
  const start = (content: string) => hive.streams.start({ userId: 'ann', conversationId: 'c', content });
  const replies = [await start('1'), await start('2'), await start('3')];
  await eventually(() => expect(agent.running).toBe(1));
  const stopped = hive.stop();
  await eventually(() => expect(hive.kernel.inspect().state).toBe('draining'));
  await expect(start('4')).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  for (const count of [1, 2, 3]) {
    await eventually(() => expect(agent.requests).toHaveLength(count));
    agent.release();
  }
  const whole = await Promise.all(replies.map((reply) => reply.whole()));
  expect(whole.map(({ content }) => content)).toEqual(['.', '.', '.']);
  await stopped;
});
