import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import { type Frame, WsClient } from '../support/ws-client.js';

// Three bytes each: three times what may wait for a reader, and more than the system takes at once.
const answer = '€'.repeat(3_000_000);
const limits = { replyLimitChars: 4_000_000 };

const agents = [
  new ScriptedAgent('broken', [new Error('no')]),
  new ScriptedAgent('whole', [text(answer), done]),
];
const big = definePlugin({
  name: 'big',
  apiVersion: 1,
  setup(ctx) {
    for (const agent of agents) ctx.addAgent(agent);
    const base = { lane: 'main', exposed: true } as const;
    ctx.registerTask({ ...base, name: 'big', message: true, run: () => answer });
    ctx.registerTask({
      ...base,
      name: 'tells',
      run: (_, { partial }) => {
        for (let part = 0; part < 500; part++) partial('€'.repeat(10_000));
        return 'all';
      },
    });
  },
});

describe.each(['uws', 'node'] as const)('what is large by itself over transport-%s', (transport) => {
  let hive: Hive;
  let id = 0;
  beforeAll(async () => {
    const config = { 'streams-memory': limits, 'agent-queen': { candidates: ['broken', 'whole'] } };
    hive = await startHive({ transport, plugins: [big], config });
  });
  afterAll(() => hive.close());

  const chat = (more: object) => ({ content: 'Hallo', requestId: 'q', ...more });
  const lengthOf = (frames: readonly Frame[]) =>
    frames.map(({ content, output, progress }) => `${content ?? output ?? progress ?? ''}`).join('').length;

  it.each<[string, object, string, number]>([
    ['the result of a task', { type: 'task', task: 'big', requestId: 'q' }, 'task_result', answer.length],
    ['the result of a message type', { type: 'big', requestId: 'q' }, 'big', answer.length],
    ['all that a task told', { type: 'task', task: 'tells', requestId: 'q' }, 'task_result', 5_000_003],
    ['a whole answer', chat({ type: 'message', agent: 'whole' }), 'message', answer.length],
    [
      'a stream in one piece',
      chat({ type: 'stream_request', agent: 'whole' }),
      'streaming_end',
      answer.length,
    ],
    ['an answer that took over', chat({ type: 'stream_request' }), 'message', answer.length],
  ])('comes whole, also once more: %s', async (_, frame, last, length) => {
    const name = `reader${transport}${id++}`;
    for (let round = 0; round < 2; round++) {
      const client = await WsClient.connect(`${hive.ws}/${name}`);
      client.send(frame);
      await client.until(({ type }) => type === last);
      expect(lengthOf(client.frames)).toBe(length);
      // It is served on.
      client.send({ type: 'ping' });
      await client.until(({ type }) => type === 'pong');
      await client.close();
    }
  });

  it.each(['whole', undefined])('comes whole on a resume of an answer of %s', async (agent) => {
    const reply = await hive.streams.start({ userId: 'u', content: 'x', agent });
    await reply.whole();
    for (let round = 0; round < 2; round++) {
      const client = await WsClient.connect(`${hive.ws}/back${id++}`);
      client.send({ type: 'resume', streamId: reply.streamId });
      await client.until(({ type }) => type === 'streaming_end' || type === 'message' || type === 'error');
      expect(lengthOf(client.frames)).toBe(answer.length);
      client.send({ type: 'ping' });
      await client.until(({ type }) => type === 'pong');
      await client.close();
    }
  });
});
