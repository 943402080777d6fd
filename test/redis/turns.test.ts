import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChatRequest, Reply, StreamFrame } from '#kernel';
import type { ClusterTimes } from '../../plugins/cluster-redis/redis-cluster.js';
import { clusterTimes } from '../../plugins/cluster-redis/redis-cluster.js';
import type { StreamLimits, StreamsSubject } from '../contracts/chat-streams.contract.js';
import { type CreateNodes, nodesOver, onNode, readFrames } from '../contracts/shared-streams.contract.js';
import { done, type ScriptedAgent, text } from '../support/agents.js';
import { dropMessages } from '../support/drop-messages.js';
import { eventually } from '../support/eventually.js';
import type { FaultProxy, Filter } from '../support/fault-proxy.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { RedisServer } from '../support/redis-server.js';
import { times } from '../support/thorough.js';
import { endAll, proxyOf } from './node.js';
import { lossTimes, type StreamsNode, startStreamsNode } from './streams-node.js';

let leaks: LeakCheck;
let server: RedisServer;
let nodes: StreamsNode[];
let proxies: FaultProxy[];

beforeEach(async () => {
  leaks = leakCheck();
  server = await RedisServer.start({ withPort: true });
  [nodes, proxies] = [[], []];
});
afterEach(async () => {
  await endAll();
  // All lines are empty, and gone with their last reply.
  if ((await server.command('PING').catch(() => '')) === 'PONG')
    expect(await server.command('KEYS', '*}:t:*')).toEqual([]);
  await server.stop();
  await leaks.settled();
});

/** Nodes that see each other, each with a link of its own. */
const create =
  (nodeTimes: ClusterTimes = clusterTimes, filter?: Filter): CreateNodes =>
  async (parts) => {
    const all = await Promise.all(
      parts.map(async ({ chat, limits, bus }, at) => {
        const proxy = await proxyOf(server, filter);
        proxies[at] = proxy;
        const node = await startStreamsNode({ url: `redis://127.0.0.1:${proxy.port}` }, { times: nodeTimes });
        nodes[at] = node;
        return node.streams(chat, limits, bus);
      }),
    );
    await eventually(() => {
      for (const { cluster } of nodes) expect(cluster.alive()).toHaveLength(parts.length);
    });
    return all;
  };

const one = { userId: 'ann', conversationId: 'c' };
const kinds = (frames: readonly StreamFrame[]) => frames.map(({ type }) => type);
const aheadIn = async (reply: Reply) =>
  (await readFrames(reply.read())).flatMap((frame) => (frame.type === 'queue_update' ? [frame.ahead] : []));
async function untilAhead(reply: Reply, ahead: number): Promise<void> {
  for await (const batch of reply.read())
    if (batch.some(({ frame }) => frame.type === 'queue_update' && frame.ahead === ahead)) return;
  throw new Error(`never ${ahead} ahead`);
}
const endOf = async (reply: Reply) => (await readFrames(reply.read())).at(-1);

/** Answers each question once it is let, and notes what it heard of the conversation, and whether two ran at once. */
function listen(agent: ScriptedAgent) {
  const heard: string[][] = [];
  const running = new Map<string, number>();
  const gates = new Map<string, () => void>();
  let overlaps = 0;
  let isOpen = false;
  agent.generateResponseStream = async function* (request: ChatRequest, { signal }) {
    const key = `${request.userId} ${request.conversationId}`;
    const contents = request.messages.map(({ content }) => content);
    const content = contents.at(-1) as string;
    heard.push(contents);
    running.set(key, (running.get(key) ?? 0) + 1);
    if ((running.get(key) ?? 0) > 1) overlaps++;
    this.requests.push(request);
    this.running++;
    try {
      if (!isOpen)
        await new Promise<void>((resolve, reject) => {
          gates.set(content, resolve);
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      yield text(`re ${content}`);
      yield done;
    } finally {
      running.set(key, (running.get(key) ?? 1) - 1);
      this.running--;
    }
  };
  return {
    heard,
    get overlaps() {
      return overlaps;
    },
    /** Lets a question be answered, now or once it is asked. */
    async go(content: string): Promise<void> {
      await eventually(() => expect(gates.has(content), `${content} is asked`).toBe(true));
      gates.get(content)?.();
    },
    goAll(): void {
      isOpen = true;
      for (const go of gates.values()) go();
    },
    asks: (content: string) => gates.has(content),
  };
}

async function conversation(count: number, limits: StreamLimits = {}, nodeTimes?: ClusterTimes) {
  const { all, agent } = await nodesOver(create(nodeTimes), count, [], limits);
  const listener = listen(agent);
  const say = (at: number, content: string, more: object = {}) =>
    (all[at % count] as StreamsSubject).start({ ...one, content, ...more });
  return { all, agent, listener, say };
}

describe.each([2, 3])('questions of one conversation on %i nodes', (count) => {
  it('are answered in their order, and each hears those before it', async () => {
    const { listener, say } = await conversation(count);
    const contents = Array.from({ length: 6 }, (_, n) => `q${n}`);
    const replies: Reply[] = [];
    for (const [at, content] of contents.entries()) replies.push(await say(at, content));
    listener.goAll();
    await Promise.all(replies.map(endOf));
    expect(listener.heard).toEqual(
      contents.map((content, at) => [
        ...contents.slice(0, at).flatMap((each) => [each, `re ${each}`]),
        content,
      ]),
    );
    expect(listener.overlaps).toBe(0);
  });

  it('tell how many are before them, on all nodes together', async () => {
    const { all, listener, say } = await conversation(count);
    const replies = [await say(0, 'a'), await say(1, 'b'), await say(0, 'c'), await say(1, 'd')];
    expect(all[1]?.stats).toMatchObject({ waiting: 2 });
    const told = Promise.all(replies.map(aheadIn));
    await untilAhead(replies[3] as Reply, 3);
    for (const content of ['a', 'b', 'c', 'd']) await listener.go(content);
    expect(await told).toEqual([[], [1], [2, 1], [3, 2, 1]]);
    for (const each of all) expect(each.stats).toMatchObject({ running: 0, waiting: 0 });
  });

  it('wait in a number that is bounded over all nodes', async () => {
    const { all, listener, say } = await conversation(count, { maxWaitingPerConversation: 2 });
    const replies = [await say(0, 'a'), await say(1, 'b'), await say(count - 1, 'c')];
    for (let at = 0; at < count; at++)
      await expect(say(at, 'one more')).rejects.toMatchObject({ code: 'BUSY', details: { limit: 2 } });
    const others = [
      await say(1, 'of another conversation', { conversationId: 'd' }),
      await say(1, 'of another user', { userId: 'ben' }),
      await say(1, 'without memory', { stateless: true }),
      await say(1, 'new', { conversationId: undefined }),
    ];
    listener.goAll();
    for (const reply of [...replies, ...others]) expect((await endOf(reply))?.type).toBe('streaming_end');
    expect(all[0]?.stats.waiting).toBe(0);
  });

  it.each(['on its node', 'from another node'])(
    'give their places up when they are cancelled %s',
    async (where) => {
      const { all, listener, say } = await conversation(count);
      const [first, second, third] = [await say(0, 'a'), await say(1, 'b'), await say(count, 'c')];
      await untilAhead(third, 2);
      const node = all[where === 'on its node' ? 1 : 0] as StreamsSubject;
      // Without a request id the engine may hear of it a moment later.
      const there = await eventually(() => onNode(node, second));
      await there.cancel('client');
      await untilAhead(third, 1);
      listener.goAll();
      expect(kinds(await readFrames(first.read())).at(-1)).toBe('streaming_end');
      expect(kinds(await readFrames(second.read())).at(-1)).toBe('cancelled');
      await endOf(third);
      expect(listener.heard).toEqual([['a'], ['a', 're a', 'c']]);
    },
  );

  it('come after one that was cancelled while it ran', async () => {
    const { listener, say } = await conversation(count);
    const [first, second] = [await say(0, 'a'), await say(1, 'b')];
    await eventually(() => expect(listener.asks('a')).toBe(true));
    await first.cancel('client');
    listener.goAll();
    expect((await endOf(second))?.type).toBe('streaming_end');
    expect(listener.heard.at(-1)?.join()).toMatch(/a.*b/s);
    expect(listener.overlaps).toBe(0);
  });

  it('wait for an agent that does not stop for so long only', async () => {
    const { agent, say } = await conversation(count, { cancelTimeoutMs: 100 });
    agent.generateResponseStream = async function* ({ messages }) {
      if (messages.at(-1)?.content === 'stubborn') await new Promise(() => {});
      yield text('well');
      yield done;
    };
    const [first, second] = [await say(0, 'stubborn'), await say(1, 'b')];
    await first.cancel('client');
    expect((await endOf(second))?.type).toBe('streaming_end');
  });

  it('keep all of this whatever is asked, cancelled and lost on the way between nodes', async () => {
    const { all, agent } = await nodesOver(create(), count, [], { maxWaitingPerConversation: 100 });
    const listener = listen(agent);
    listener.goAll();
    let run = 0;
    const step = fc.record({
      node: fc.nat({ max: count - 1 }),
      cancels: fc.boolean(),
      conversation: fc.nat({ max: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const from = listener.heard.length;
        const conversationIds = [`x${run}`, `y${run++}`];
        const replies = [];
        for (const [at, { node, conversation }] of steps.entries()) {
          const conversationId = conversationIds[conversation] as string;
          replies.push(
            await (all[node] as StreamsSubject).start({
              userId: 'ann',
              conversationId,
              content: `${conversation} ${at}`,
            }),
          );
        }
        await Promise.all(
          replies.map((reply, at) => (steps[at]?.cancels ? reply.cancel('client') : undefined)),
        );
        await Promise.all(replies.map(endOf));
        const asked = listener.heard.slice(from).map((contents) => contents.at(-1) as string);
        for (const of of ['0', '1']) {
          const order = asked.filter((each) => each.startsWith(of)).map((each) => Number(each.slice(2)));
          expect(order).toEqual([...order].sort((x, y) => x - y));
        }
        expect(listener.overlaps).toBe(0);
      }),
      { numRuns: times(30) },
    );
  });
});

describe('where a node is lost', () => {
  it('the next question goes on, and its place is not kept for ever', async () => {
    const { all, listener, say } = await conversation(2, {}, lossTimes);
    const first = await say(0, 'a');
    const [second, third] = [await say(1, 'b'), await say(1, 'c')];
    await listener.go('a');
    await endOf(first);
    await eventually(() => expect(listener.asks('b')).toBe(true));
    const running = await say(0, 'd');
    expect(running.ended).toBe(false);
    listener.goAll();
    for (const reply of [second, third, running]) expect((await endOf(reply))?.type).toBe('streaming_end');
    expect(all).toHaveLength(2);
  });

  it('with the one that runs: the next one goes on there, and it ends where its text was seen', async () => {
    const { all, agent, say } = await conversation(2, {}, lossTimes);
    agent.generateResponseStream = async function* ({ messages }, { signal }) {
      yield text('seen');
      if (messages.at(-1)?.content === 'a')
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      yield done;
    };
    const first = await say(0, 'a', { requestId: 'lost' });
    for await (const batch of first.read())
      if (batch.some(({ frame }) => frame.type === 'streaming_token')) break;
    const second = await say(1, 'b');
    await untilAhead(second, 1);
    proxies[0]?.cut();
    expect((await endOf(second))?.type).toBe('streaming_end');
    const there = await all[1]?.find(first.streamId);
    expect(await endOf(there as Reply)).toMatchObject({ type: 'error', code: 'SERVER_LOST' });
    proxies[0]?.mend();
    expect(await endOf(first)).toMatchObject({ type: 'error', code: 'SERVER_LOST' });
  });

  it('with one that nobody has seen anything of: it runs again before those that came after it', async () => {
    const { agent, listener, say } = await conversation(2, {}, lossTimes);
    await say(0, 'a', { requestId: 'again' });
    await eventually(() => expect(listener.asks('a')).toBe(true));
    const second = await say(1, 'b');
    await untilAhead(second, 1);
    proxies[0]?.cut();
    await eventually(() =>
      expect(agent.requests.filter(({ messages }) => messages.at(-1)?.content === 'a')).toHaveLength(2),
    );
    expect(listener.asks('b')).toBe(false);
    listener.goAll();
    expect((await endOf(second))?.type).toBe('streaming_end');
    expect(listener.heard.at(-1)).toEqual(['a', 're a', 'b']);
    proxies[0]?.mend();
  });
});

describe('where Redis is away', () => {
  it('a question that is next waits for it for a while, and then fails; nothing is asked out of turn', async () => {
    const { agent, listener, say } = await conversation(2);
    const first = await say(0, 'a');
    const second = await say(1, 'b');
    await untilAhead(second, 1);
    proxies[1]?.cut();
    await listener.go('a');
    await endOf(first);
    expect(await endOf(second)).toMatchObject({ type: 'error', code: 'ENGINE_UNAVAILABLE' });
    await expect(say(1, 'c')).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    expect(agent.requests).toHaveLength(1);
    proxies[1]?.mend();
    await eventually(() => expect(nodes[1]?.link.isUp).toBe(true));
    listener.goAll();
    expect((await endOf(await say(0, 'd')))?.type).toBe('streaming_end');
    expect((await endOf(await say(1, 'e')))?.type).toBe('streaming_end');
  });

  it('and is back soon: all go on in their order', async () => {
    const { listener, say } = await conversation(2);
    const replies = [await say(0, 'a'), await say(1, 'b'), await say(0, 'c')];
    for (const proxy of proxies) proxy.drop();
    listener.goAll();
    for (const reply of replies) expect((await endOf(reply))?.type).toBe('streaming_end');
    expect(listener.heard.map((contents) => contents.at(-1))).toEqual(['a', 'b', 'c']);
  });

  it('and has lost all data: they keep their order, and none runs beside another', async () => {
    const { listener, say } = await conversation(2);
    const replies = [await say(0, 'a'), await say(1, 'b'), await say(0, 'c'), await say(1, 'd')];
    await eventually(() => expect(listener.asks('a')).toBe(true));
    await server.command('FLUSHALL');
    await eventually(async () => {
      const [key = ''] = await server.command<string[]>('KEYS', '*}:t:*');
      expect(Object.keys(await server.command<Record<string, string>>('HGETALL', key))).toHaveLength(4);
    });
    listener.goAll();
    for (const reply of replies) expect((await endOf(reply))?.type).toBe('streaming_end');
    expect(listener.heard.map((contents) => contents.at(-1))).toEqual(['a', 'b', 'c', 'd']);
    expect(listener.overlaps).toBe(0);
  });

  it('and has lost all data while none waits: the next one waits all the same', async () => {
    const { listener, say } = await conversation(2);
    const first = await say(0, 'a');
    await eventually(() => expect(listener.asks('a')).toBe(true));
    await server.command('FLUSHALL');
    await eventually(async () => expect(await server.command('KEYS', '*}:t:*')).toHaveLength(1));
    const second = await say(1, 'b');
    await untilAhead(second, 1);
    listener.goAll();
    for (const reply of [first, second]) expect((await endOf(reply))?.type).toBe('streaming_end');
    expect(listener.overlaps).toBe(0);
  });

  it('an entry that its node knows nothing of does not stay in the way', async () => {
    const { listener, say } = await conversation(2);
    const first = await say(0, 'a');
    const [key = ''] = await server.command<string[]>('KEYS', '*}:t:*');
    const stray = `1 w ${nodes[0]?.cluster.nodeId}`;
    await server.command('HSET', key, 'stray', stray);
    const second = await say(1, 'b');
    listener.goAll();
    for (const reply of [first, second]) expect((await endOf(reply))?.type).toBe('streaming_end');
  });

  it('or messages are lost: the next one goes on all the same', async () => {
    const { all, agent } = await nodesOver(
      create(
        undefined,
        dropMessages((text) => text.includes('streams:turn')),
      ),
      2,
      [],
    );
    const listener = listen(agent);
    listener.goAll();
    const replies = [];
    for (let at = 0; at < 4; at++)
      replies.push(await (all[at % 2] as StreamsSubject).start({ ...one, content: `q${at}` }));
    for (const reply of replies) expect((await endOf(reply))?.type).toBe('streaming_end');
    expect(listener.overlaps).toBe(0);
  });
});

it('a node that stops takes no place with it', async () => {
  const { all, listener, say } = await conversation(2);
  const [first, second, third] = [await say(0, 'a'), await say(1, 'b'), await say(0, 'c')];
  await untilAhead(third, 2);
  await (all[1] as unknown as { close(): Promise<void> }).close();
  expect(await endOf(second)).toMatchObject({ type: 'cancelled', reason: 'shutdown' });
  listener.goAll();
  for (const reply of [first, third]) expect((await endOf(reply))?.type).toBe('streaming_end');
  expect(listener.heard.at(-1)).toEqual(['a', 're a', 'c']);
});
