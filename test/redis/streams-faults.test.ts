import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Reply } from '#kernel';
import { clusterTimes } from '../../plugins/cluster-redis/redis-cluster.js';
import type { RedisStreams } from '../../plugins/streams-redis/redis-streams.js';
import {
  ask,
  type CreateNodes,
  expectText,
  nodesOver,
  onNode,
  readFrames,
} from '../contracts/shared-streams.contract.js';
import { done, type ScriptedAgent, text } from '../support/agents.js';
import { dropMessages } from '../support/drop-messages.js';
import { eventually } from '../support/eventually.js';
import { FaultProxy, type Filter } from '../support/fault-proxy.js';
import type { RedisServer } from '../support/redis-server.js';
import { figures, soak } from '../support/soak.js';
import { later, redisForEach, replicaOf } from './node.js';
import { lossTimes, type StreamsNode, startStreamsNode } from './streams-node.js';

let server: RedisServer;
let nodes: StreamsNode[];
let proxies: FaultProxy[];
redisForEach((each) => {
  server = each;
  [nodes, proxies] = [[], []];
});

const remote = { beatMs: 200 };

const direct: CreateNodes = (parts) =>
  Promise.all(
    parts.map(async ({ chat, limits, bus }) => {
      const node = await startStreamsNode({ url: server.url }, { remote });
      nodes.push(node);
      return node.streams(chat, limits, bus);
    }),
  );

/** Nodes whose links a test makes bad. */
const behindProxies =
  (filter?: Filter, times = clusterTimes): CreateNodes =>
  (parts) =>
    Promise.all(
      parts.map(async ({ chat, limits, bus }, at) => {
        const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
        proxy.filter = filter;
        proxies[at] = proxy;
        later(() => proxy.close());
        const node = await startStreamsNode({ url: `redis://127.0.0.1:${proxy.port}` }, { remote, times });
        nodes[at] = node;
        return node.streams(chat, limits, bus);
      }),
    );

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** An agent of numbered words, one every so many milliseconds. */
function talk(agent: ScriptedAgent, count: number, everyMs: number): string {
  const words = Array.from({ length: count }, (_, at) => `${at} 🐝 `);
  agent.generateResponseStream = async function* (request, { signal }) {
    this.requests.push(request);
    for (const word of words) {
      yield text(word);
      await pause(everyMs);
      signal.throwIfAborted();
    }
    yield done;
  };
  return words.join('');
}

const start = (streams: RedisStreams | { start: RedisStreams['start'] }, count: number) =>
  Promise.all(Array.from({ length: count }, () => streams.start(ask())));

/** Reads a reply on one node after the other, for a while on each, and gives all of the text. */
async function wander(reply: Reply, all: readonly { find: RedisStreams['find'] }[]): Promise<string> {
  let got = '';
  for (let at = 0; ; at++) {
    const found = await all[at % all.length]?.find(reply.streamId);
    if (!found) throw new Error('the reply is gone');
    const reader = found.read(got.length);
    const timer = setTimeout(() => void reader.return(), 5 + Math.random() * 40);
    for await (const batch of reader)
      for (const { frame } of batch)
        if (frame.type === 'streaming_token') got += frame.content;
        else if (frame.type === 'streaming_end') {
          clearTimeout(timer);
          return got;
        } else if (frame.type === 'error') throw new Error(frame.code);
    clearTimeout(timer);
  }
}

describe.each([2, 3])('many replies on %i nodes', (nodeCount) => {
  it('are exact for clients that change their node all the time', async () => {
    const { a, all, agent } = await nodesOver(direct, nodeCount, []);
    const expected = talk(agent, 30, 5);
    const count = soak(150, 1000);
    const replies = await start(a, count);
    const texts = await Promise.all(replies.map((reply) => wander(reply, all)));
    expect(texts.filter((each) => each !== expected)).toEqual([]);
    expect(agent.requests).toHaveLength(count);
  });

  it('are cancelled from another node, with one end each', async () => {
    const { a, last, agent } = await nodesOver(direct, nodeCount, [text('Hel'), 'wait']);
    const count = soak(100, 200);
    const replies = await start(a, count);
    await eventually(() => expect(agent.running).toBe(count));
    const there = await Promise.all(replies.map((reply) => onNode(last, reply)));
    const ends = there.map((reply) => expectText(reply.read(), 'Hel'));
    const receipts = await Promise.all(there.map((reply) => reply.cancel('client')));
    expect(agent.running).toBe(0);
    expect(receipts.filter((receipt) => receipt === undefined)).toEqual([]);
    for (const frames of await Promise.all(ends)) expect(frames.at(-1)?.type).toBe('cancelled');
  });

  it('with ids run once each, however many nodes are asked at once', async () => {
    const { all, agent } = await nodesOver(direct, nodeCount, [text('one'), text(' two'), done]);
    const count = soak(200, 1000);
    const commands = Array.from({ length: count }, ask);
    const replies = await Promise.all(commands.flatMap((command) => all.map((node) => node.start(command))));
    await Promise.all(replies.map((reply) => expectText(reply.read(), 'one two')));
    expect(new Set(replies.map(({ streamId }) => streamId)).size).toBe(count);
    expect(agent.requests).toHaveLength(count);
  });
});

describe('a server that is killed and comes back with its file', () => {
  it('costs readers here nothing, and those elsewhere a wait', async () => {
    const { a, b, agent } = await nodesOver(direct, 2, []);
    const expected = talk(agent, 60, 20);
    const replies = await start(a, soak(50, 200));
    const here = replies.map((reply) => expectText(reply.read(), expected));
    await eventually(() => expect(replies.every(({ position }) => position > 0)).toBe(true));
    const far = await Promise.all(replies.map((reply) => onNode(b, reply)));
    const there = far.map((reply) => expectText(reply.read(), expected));
    await server.signal('SIGKILL');
    await eventually(() => expect(nodes[0]?.link.isUp).toBe(false));
    await expect(a.start(ask())).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    await expect(a.start({ userId: 'ann', content: 'x' })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
    });
    await expect(b.find('00xxxxxxxxxxxxxxxxxxxxxxxx')).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    await pause(soak(300, 2000)); // the outage itself
    await server.run();
    await Promise.all(here);
    await Promise.all(there);
    for (const reply of replies.slice(0, 5)) await expectText((await onNode(b, reply)).read(), expected);
    const next = await a.start(ask());
    await expectText((await onNode(b, next)).read(), expected);
  });
});

describe('a server that loses everything', () => {
  it.each([
    ['by FLUSHALL', async () => void (await server.command('FLUSHALL'))],
    [
      'in a restart',
      async () => {
        await server.signal('SIGKILL');
        rmSync(`${server.folder}/appendonlydir`, { recursive: true });
        await server.run();
      },
    ],
  ])('%s: what runs can be read again everywhere', async (_, lose) => {
    const { a, b, agent } = await nodesOver(direct, 2, [text('one'), 'wait', text(' two'), done]);
    const command = ask();
    const reply = await a.start(command);
    const early = await onNode(b, reply);
    const read = expectText(early.read(), 'one two');
    await eventually(() => expect(reply.position).toBe(3));
    await lose();
    await eventually(() => expect(nodes.every(({ link }) => link.isUp)).toBe(true));
    await eventually(async () => expect((await onNode(b, reply)).streamId).toBe(reply.streamId));
    // Known on the third node as well, which has never heard of it.
    const { a: third } = await nodesOver(direct, 2, []);
    await eventually(async () => expect((await third.find(reply.streamId))?.position).toBe(3));
    const late = expectText((await onNode(third, reply)).read(1), 'ne two');
    const again = await third.start(command);
    expect(again.streamId).toBe(reply.streamId);
    agent.release();
    await Promise.all([read, late]);
    expect(agent.requests).toHaveLength(1);
  });
});

describe('a server that is replaced by its copy, which is half a second behind,', () => {
  it('has what runs again, whole: each text is exact on all nodes, and each agent is asked once', async () => {
    const { takeOver, replica } = await replicaOf(server);
    const { a, b, agent } = await nodesOver(behindProxies(), 2, []);
    const expected = talk(agent, soak(100, 200), 50);
    const replies = await start(a, soak(30, 200));
    const here = replies.map((reply) => expectText(reply.read(), expected));
    await eventually(() => expect(replies.every(({ position }) => position > 20)).toBe(true));
    const far = await Promise.all(replies.slice(0, 10).map((reply) => onNode(b, reply)));
    const there = far.map((reply) => expectText(reply.read(), expected));
    await takeOver(proxies);
    const from = performance.now();
    await eventually(() => expect(nodes.every(({ link }) => link.isUp)).toBe(true));
    const upMs = performance.now() - from;
    // A node that has heard of none of them.
    const third = await startStreamsNode({ url: replica.url }, { remote });
    const { a: late } = await nodesOver(
      (parts) => Promise.resolve(parts.map(({ chat, limits, bus }) => third.streams(chat, limits, bus))),
      1,
      [],
    );
    let latestMs = 0;
    await Promise.all(
      replies.map(async (reply) => {
        const before = reply.position;
        await eventually(async () =>
          expect((await late.find(reply.streamId))?.position).toBeGreaterThanOrEqual(before),
        );
        latestMs = Math.max(latestMs, performance.now() - from);
      }),
    );
    const last = replies.map(async (reply) => expectText((await onNode(late, reply)).read(), expected));
    await Promise.all([...here, ...there, ...last]);
    expect(agent.requests).toHaveLength(replies.length);
    figures('fault 14, replies', { replies: replies.length, upMs, allThereMs: latestMs });
  });
});

describe('a server that is slow', () => {
  it('holds up only the first content, and readers elsewhere', async () => {
    const { a, b, agent } = await nodesOver(behindProxies(), 2, []);
    const expected = talk(agent, 40, 20);
    const reply = await a.start(ask());
    const there = (await onNode(b, reply)).read();
    for (const proxy of proxies) proxy.delayMs = 200;
    let latestMs = 0;
    let lastMs = performance.now();
    const reader = reply.read();
    await reader.next();
    for await (const _ of reader) {
      const nowMs = performance.now();
      latestMs = Math.max(latestMs, nowMs - lastMs);
      lastMs = nowMs;
    }
    // Far below the way to the server and back.
    expect(latestMs).toBeLessThan(400);
    await expectText(there, expected);
    const fromMs = performance.now();
    const next = await a.start(ask());
    await expectText(next.read(), expected);
    expect(performance.now() - fromMs).toBeLessThan(40 * 20 * 3 + 4 * 400);
  });

  it.each(['ALL', 'WRITE'])('because it pauses (%s): nothing is lost', async (mode) => {
    const { a, b, agent } = await nodesOver(direct, 2, []);
    const expected = talk(agent, 50, 10);
    const replies = await start(a, 20);
    const here = replies.map((reply) => expectText(reply.read(), expected));
    const there = await Promise.all(replies.map(async (reply) => [await onNode(b, reply)] as const));
    const far = there.map(([reply]) => expectText(reply.read(), expected));
    await server.command('CLIENT', 'PAUSE', '200', mode);
    await Promise.all([...here, ...far]);
  });
});

describe('a link that is cut', () => {
  it.each([
    ['at once', (proxy: FaultProxy) => proxy.cut()],
    [
      'in silence',
      (proxy: FaultProxy) => {
        proxy.swallows = true;
      },
    ],
  ])('%s, from the server of a reply: others tell of its loss, and nobody gets two ends', async (_, cut) => {
    const { a, b, agent } = await nodesOver(behindProxies(undefined, lossTimes), 2, [
      text('one'),
      'wait',
      text(' two'),
      'wait',
      text(' three'),
      done,
    ]);
    // No node is lost in the first seconds of another.
    await pause(lossTimes.graceMs);
    const reply = await a.start(ask());
    const here = readFrames(reply.read());
    const there = readFrames((await onNode(b, reply)).read());
    await eventually(async () => expect((await onNode(b, reply)).position).toBe(3));
    cut(proxies[0] as FaultProxy);
    agent.release();
    const frames = await there;
    expect(frames.at(-1)).toMatchObject({ type: 'error', code: 'SERVER_LOST' });
    expect(frames.filter(({ type }) => type === 'error')).toHaveLength(1);
    // A client of the lost server may have had more.
    await eventually(() => expect(reply.position).toBe(7));
    const late = await readFrames((await onNode(b, reply)).read(7));
    expect(late.map(({ type }) => type)).toEqual(['streaming_start', 'error']);
    proxies[0]?.mend();
    await eventually(() => expect(reply.ended).toBe(true));
    expect((await here).at(-1)).toMatchObject({ code: 'SERVER_LOST' });
    expect(agent.running).toBe(0);
    expect((a as RedisStreams).sharedStats.takenOver.fenced).toBe(1);
    expect((b as RedisStreams).sharedStats.takenOver.lost).toBe(1);
  });

  it('before any content: the reply runs again on another server, under its id', async () => {
    const { a, b, agent } = await nodesOver(behindProxies(undefined, lossTimes), 2, [
      'wait',
      text('one'),
      done,
    ]);
    await pause(lossTimes.graceMs);
    const command = ask();
    const reply = await a.start(command);
    const there = (await onNode(b, reply)).read();
    await eventually(() => expect(agent.running).toBe(1));
    proxies[0]?.cut();
    await eventually(() => expect(agent.requests).toHaveLength(2));
    expect((await b.start(command)).streamId).toBe(reply.streamId);
    proxies[0]?.mend();
    await eventually(() => expect(reply.ended).toBe(true));
    agent.release();
    await expectText(there, 'one');
    await expectText((await onNode(a, reply)).read(), 'one');
    expect((b as RedisStreams).sharedStats.takenOver.rerun).toBe(1);
  });
});

describe('a cancel that comes while the server of a reply is lost', () => {
  it('keeps the reply from running again', async () => {
    const { a, b, agent } = await nodesOver(behindProxies(undefined, lossTimes), 2, [
      'wait',
      text('one'),
      done,
    ]);
    await pause(lossTimes.graceMs);
    const reply = await a.start(ask());
    const far = await onNode(b, reply);
    const there = readFrames(far.read());
    await eventually(() => expect(agent.running).toBe(1));
    proxies[0]?.cut();
    await expect(far.cancel('client')).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    expect((await there).at(-1)).toMatchObject({ code: 'SERVER_LOST' });
    expect(agent.requests).toHaveLength(1);
  });
});

describe('a server without memory', () => {
  it('refuses new work; readers here lose nothing, and those elsewhere get it once there is room', async () => {
    const { a, b, agent } = await nodesOver(direct, 2, [text('one'), 'wait', text(' two'), 'wait', done]);
    const reply = await a.start(ask());
    const here = expectText(reply.read(), 'one two');
    const far = await onNode(b, reply);
    const there = expectText(far.read(), 'one two');
    await eventually(() => expect(far.position).toBe(3));
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    await expect(a.start(ask())).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    const unasked = await a.start({ userId: 'ann', content: 'x' });
    expect((await readFrames(unasked.read())).at(-1)).toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    agent.release();
    await eventually(() => expect(reply.position).toBe(7));
    // PUBLISH needs no memory.
    await eventually(() => expect(far.position).toBe(7));
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    agent.release();
    await Promise.all([here, there]);
    const { a: third } = await nodesOver(direct, 2, []);
    await eventually(async () => expect((await third.find(reply.streamId))?.ended).toBe(true));
    await expectText((await onNode(third, reply)).read(), 'one two');
    agent.script = [text('again'), done];
    await expectText((await onNode(b, await a.start(ask()))).read(), 'again');
  });
});

describe('messages that get lost', () => {
  it('one in ten, and every subscription now and then: nothing is missing or doubled', async () => {
    let messages = 0;
    const filter = dropMessages((content) => content.includes('streams:') && messages++ % 10 === 9);
    const { a, b, agent } = await nodesOver(behindProxies(filter), 2, []);
    const expected = talk(agent, soak(100, 1500), 20);
    const replies = await start(a, 20);
    const far = await Promise.all(replies.map((reply) => onNode(b, reply)));
    const there = far.map((reply) => expectText(reply.read(), expected));
    const killing = setInterval(() => void server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'), 500);
    later(() => clearInterval(killing));
    await Promise.all(there);
    clearInterval(killing);
    expect((b as RedisStreams).sharedStats.gaps).toBeGreaterThan(0);
  });
});
