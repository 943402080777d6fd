import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Cluster, definePlugin, type PluginContext, type TaskDefinition } from '#kernel';
import { accessPlugin, as, TestUsers } from '../support/access.js';
import { eventually } from '../support/eventually.js';
import type { Hive } from '../support/hive.js';
import type { RedisServer } from '../support/redis-server.js';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
import { type RunningServer, startServer } from '../support/server.js';
import { outline } from '../support/tool-hive.js';
import { textOf, WsClient } from '../support/ws-client.js';
import { startNodeHive } from './hives.js';
import { later, proxyOf, redisForEach } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

let refunds: number[] = [];
const refund: TaskDefinition<{ amount: number }, string> = {
  name: 'orders:refund',
  lane: 'main',
  tool: { approval: 'ask', description: 'Pays back' },
  input: z.object({ amount: z.number() }),
  run({ amount }) {
    refunds.push(amount);
    return 'paid';
  },
};

/** Servers of one cluster whose agent asks before it pays. Each has its own way to Redis where `urls` says so. */
async function startNodes(count: number, queen: object = {}, urls: readonly string[] = []): Promise<Hive[]> {
  refunds = [];
  const hives = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const url = urls[index] ?? server.url;
      const payer = definePlugin({
        name: 'payer',
        apiVersion: 1,
        setup(ctx: PluginContext) {
          ctx.registerTask(refund as TaskDefinition);
          const script = [[say('I will pay. '), use('orders_refund', { amount: 5 }, 'c1')], [say('Done.')]];
          ctx.addAgent(new ScriptedModel('payer', script));
        },
      });
      return startNodeHive(url, {
        plugins: [payer, accessPlugin(new TestUsers())],
        config: { 'agent-queen': { candidates: ['payer'], tools: ['*'], ...queen } },
      });
    }),
  );
  await eventually(() => {
    for (const { kernel } of hives) expect(kernel.get(Cluster).alive()).toHaveLength(count);
  });
  return hives;
}

async function connect({ ws }: Pick<Hive, 'ws'>, id: string, user = 'ann'): Promise<WsClient> {
  const client = await WsClient.connect(`${ws}/${id}`, { headers: as(user) });
  later(() => client.close());
  return client;
}

async function begin(node: Pick<Hive, 'ws'>, id = 'desk') {
  const client = await connect(node, id);
  client.send({ type: 'stream_request', content: 'Pay back', conversationId: 'k', requestId: 'r' });
  const { streamId } = await client.until(({ type }) => type === 'approval_required');
  return { client, streamId: streamId as string };
}

/** What a client sees of a stream that it resumes, until the question. */
async function resume(
  node: Pick<Hive, 'ws'>,
  streamId: string,
  id: string,
  user?: string,
): Promise<WsClient> {
  const client = await connect(node, id, user);
  client.send({ type: 'resume', streamId });
  return client;
}

/** What it has seen of streams. */
const seen = ({ frames }: WsClient) => outline(frames.filter(({ type }) => type !== 'stream_available'));
const isQuestion = ({ type }: { readonly type: string }) => type === 'approval_required';
const isEnd = ({ type }: { readonly type: string }) => type === 'streaming_end';
const allow = (streamId: string, more: object = {}) => ({
  ...{ type: 'approve', streamId, id: 'c1', allow: true },
  ...more,
});
const whole = [
  ...['start', 'token I will pay. ', 'tool_call orders:refund', 'approval_required orders:refund'],
  ...['approval_resolved true', 'tool_result orders:refund', 'token Done.', 'end'],
];

describe('a tool that waits for a person on another server', () => {
  it('is seen there, runs once it is allowed there, and all readers hear of it', async () => {
    const [a, b] = (await startNodes(2)) as [Hive, Hive];
    const { client, streamId } = await begin(a);
    const phone = await resume(b, streamId, 'phone');
    expect(await phone.until(isQuestion)).toMatchObject({ id: 'c1', arguments: { amount: 5 } });
    expect(refunds).toEqual([]);
    phone.send(allow(streamId));
    for (const each of [client, phone]) {
      await each.until(isEnd);
      expect(seen(each)).toEqual(whole);
      expect(each.frames.find(({ type }) => type === 'approval_resolved')).toMatchObject({ by: 'ann' });
    }
    expect(refunds).toEqual([5]);
  });

  it('may be denied there, without reading along', async () => {
    const [a, b] = (await startNodes(2)) as [Hive, Hive];
    const { client, streamId } = await begin(a);
    const phone = await connect(b, 'phone');
    phone.send(allow(streamId, { allow: false, reason: 'too much' }));
    await client.until(isEnd);
    expect(outline(client.frames)).toContain('tool_result orders:refund APPROVAL_DENIED');
    expect(refunds).toEqual([]);
  });

  it('stays open when its page is loaded again on another server, and on a third', async () => {
    const [a, b, c] = (await startNodes(3)) as [Hive, Hive, Hive];
    const { client, streamId } = await begin(a);
    await client.close();
    const first = await resume(b, streamId, 'desk');
    await first.until(isQuestion);
    await first.close();
    const second = await resume(c, streamId, 'desk');
    await second.until(isQuestion);
    second.send(allow(streamId));
    await second.until(isEnd);
    expect(seen(second)).toEqual(whole);
    expect(refunds).toEqual([5]);
  });

  it('has one decision, and every other answer hears that it came too late', async () => {
    const [a, b, c] = (await startNodes(3)) as [Hive, Hive, Hive];
    const { client, streamId } = await begin(a);
    const persons = [
      await connect(a, 'tablet'),
      await connect(b, 'phone'),
      await connect(c, 'watch'),
      await connect(b, 'laptop'),
    ];
    for (const [index, each] of persons.entries()) each.send(allow(streamId, { allow: index % 2 === 0 }));
    await client.until(isEnd);
    await eventually(() => {
      const late = persons.filter(({ frames }) => frames.some(({ code }) => code === 'TOOL_CALL_UNKNOWN'));
      expect(late).toHaveLength(3);
    });
    const resolved = client.frames.filter(({ type }) => type === 'approval_resolved');
    expect(resolved).toHaveLength(1);
    expect(refunds).toEqual(resolved[0]?.allow === true ? [5] : []);
  });

  it.each<[string, object, string]>([
    ['of another call', { id: 'c2' }, 'ann'],
    ['of another user', {}, 'bob'],
  ])('is not allowed by an answer %s', async (_, other, who) => {
    const [a, b] = (await startNodes(2)) as [Hive, Hive];
    const { client, streamId } = await begin(a);
    const stranger = await connect(b, 'stranger', who);
    stranger.send(allow(streamId, other));
    await stranger.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
    expect(refunds).toEqual([]);
    client.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
  });

  it('is given up by a cancel there, and an answer then comes too late', async () => {
    const [a, b] = (await startNodes(2)) as [Hive, Hive];
    const { client, streamId } = await begin(a);
    const phone = await resume(b, streamId, 'phone');
    await phone.until(isQuestion);
    phone.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
    phone.send(allow(streamId));
    await phone.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
    expect(refunds).toEqual([]);
  });

  it('has an answer while its server drains, and ends before it stops', async () => {
    const [a, b] = (await startNodes(2)) as [Hive, Hive];
    const { streamId } = await begin(a);
    const phone = await resume(b, streamId, 'phone');
    await phone.until(isQuestion);
    const stopped = a.kernel.stop();
    await eventually(() => expect(a.kernel.inspect().state).toBe('draining'));
    phone.send(allow(streamId));
    await phone.until(isEnd);
    expect(seen(phone)).toEqual(whole);
    await stopped;
    expect(refunds).toEqual([5]);
    // After that it can still be read, and not be answered again.
    const late = await resume(b, streamId, 'late');
    await late.until(isEnd);
    late.send(allow(streamId));
    await late.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
  });

  it('is decided once although its server is cut off meanwhile; the person there hears it or is told to try again', async () => {
    const proxy = await proxyOf(server);
    const [a, b] = (await startNodes(2, {}, [`redis://127.0.0.1:${proxy.port}`])) as [Hive, Hive];
    const { client, streamId } = await begin(a);
    const phone = await resume(b, streamId, 'phone');
    await phone.until(isQuestion);
    proxy.cut();
    phone.send(allow(streamId));
    proxy.mend();
    await client.until(isEnd);
    expect(refunds).toEqual([5]);
    await phone.until(isEnd);
    expect(textOf(phone.frames)).toBe('I will pay. Done.');
  });
});

describe('a tool that waits on a server that is killed', () => {
  const files = {
    'payer.mjs': `
      import { BaseAgent, definePlugin } from 'waggle-server';
      import { z } from '${import.meta.resolve('zod')}';
      class Payer extends BaseAgent {
        name = 'payer';
        async *generateResponseStream({ messages }) {
          if (messages.at(-1).role === 'tool') yield { type: 'text', content: 'Done.' };
          else {
            yield { type: 'text', content: 'I will pay. ' };
            yield { type: 'tool_call', id: 'c1', name: 'orders_refund', arguments: '{}' };
          }
          yield { type: 'done', reason: messages.at(-1).role === 'tool' ? 'stop' : 'tool_calls' };
        }
      }
      export default definePlugin({
        name: 'payer',
        apiVersion: 1,
        setup(ctx) {
          ctx.addAgent(new Payer());
          ctx.registerTask({
            name: 'orders:refund',
            lane: 'main',
            tool: { approval: 'ask', description: 'Pays back' },
            input: z.object({}),
            run: () => 'paid',
          });
        },
      });`,
  };
  async function start(alone: boolean): Promise<RunningServer> {
    const redis = { url: server.url };
    const running = await startServer({
      ...{ alone, files },
      config: {
        plugins: {
          'cluster-redis': { config: redis },
          'streams-memory': { use: 'streams-redis', config: redis },
          payer: { use: './payer.mjs' },
          'agent-queen': { config: { candidates: ['payer'], tools: ['*'] } },
        },
      },
    });
    later(() => running.stop('SIGKILL'));
    return running;
  }
  const socketsOf = ({ url }: RunningServer) => ({ ws: `${url.replace('http', 'ws')}/ws` });

  it('ends with SERVER_LOST, and an answer to it with an error, never in silence', async () => {
    const [a, b] = [await start(true), await start(false)];
    const { streamId } = await begin(socketsOf(a));
    const phone = await resume(socketsOf(b), streamId, 'phone');
    await phone.until(isQuestion);
    process.kill(a.pid, 'SIGKILL');
    await a.exited;
    phone.send(allow(streamId));
    const lost = await phone.until(({ streamId: of, type }) => of === streamId && type === 'error');
    expect(lost.code).toBe('SERVER_LOST');
    const refused = await phone.until(
      ({ code }) => code === 'ENGINE_UNAVAILABLE' || code === 'TOOL_CALL_UNKNOWN',
    );
    expect(refused).not.toHaveProperty('streamId');
    phone.send(allow(streamId));
    await phone.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
    expect(outline(phone.frames)).not.toContain('tool_result orders:refund');
  });
});
