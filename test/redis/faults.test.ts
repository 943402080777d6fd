import { describe, expect, it } from 'vitest';
import type { ClusterWatcher } from '#kernel';
import { clusterTimes, type RedisCluster } from '../../plugins/cluster-redis/redis-cluster.js';
import { dropMessages } from '../support/drop-messages.js';
import { eventually } from '../support/eventually.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import { recordingLogger } from '../support/kernel.js';
import type { RedisServer } from '../support/redis-server.js';
import { later, proxyOf, quickTimes, redisForEach, startNode, startNodeBehindProxy } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

const behindProxy = (filter?: FaultProxy['filter']) => startNodeBehindProxy(server, filter);

const direct = () => startNode({ config: { url: server.url } });

/** What a watcher is told. */
function watched(node: RedisCluster): string[] {
  const calls: string[] = [];
  const watcher: ClusterWatcher = {
    gone: (id, why) => void calls.push(`gone ${id} ${why}`),
    gap: () => void calls.push('gap'),
    lapsed: () => void calls.push('lapsed'),
    emptied: () => void calls.push('emptied'),
  };
  node.watch(watcher);
  return calls;
}

const isDown = (node: RedisCluster) => eventually(() => expect(node.stats.up).toBe(false));
const isUp = (node: RedisCluster) => eventually(() => expect(node.stats.up).toBe(true));

describe.each([
  ['is cut', (proxy: FaultProxy) => proxy.cut()],
  [
    'swallows everything',
    (proxy: FaultProxy) => {
      proxy.swallows = true;
    },
  ],
])('a link that %s', (_, breakLink) => {
  it('is noticed, refuses at once what is asked, costs the lease, and heals by itself', async () => {
    const { node, proxy } = await behindProxy();
    const other = await direct();
    const [own, others] = [watched(node), watched(other)];
    await eventually(() => expect(node.alive()).toHaveLength(2));
    breakLink(proxy);
    await isDown(node);
    expect(await node.send(other.nodeId, 't', 1)).toBe(false);
    expect(await node.broadcast('t', 1)).toBe(false);
    await eventually(() => expect(node.trouble).toBe('the engine that the servers share is away'));
    expect(node.stats.awayMs).toBeGreaterThan(0);
    await eventually(() => expect(others).toContain(`gone ${node.nodeId} lost`));
    proxy.mend();
    await isUp(node);
    expect(node.trouble).toBeUndefined();
    await eventually(() => expect(own).toContain('lapsed'));
    expect(own).toContain('gap');
    await eventually(() => expect(other.alive()).toHaveLength(2));
    const heard: unknown[] = [];
    node.on('t', (body) => void heard.push(body));
    await eventually(async () => expect(await other.send(node.nodeId, 't', 'again')).toBe(true));
    await eventually(() => expect(heard).toContain('again'));
    // The other one was there all the time.
    expect(own.filter((call) => call.startsWith('gone'))).toEqual([]);
  });
});

describe('a long way to the server', () => {
  it('of 200 ms in each direction is no reason to give a connection up, or to be lost', async () => {
    const proxy = await proxyOf(server);
    proxy.delayMs = 200;
    // In the bounds of a real server.
    const config = { url: `redis://127.0.0.1:${proxy.port}` };
    const far = await startNode({ config, times: clusterTimes });
    const near = await startNode({ config: { url: server.url }, times: clusterTimes });
    const calls = [watched(far), watched(near)];
    await eventually(() => expect(near.alive()).toHaveLength(2));
    await beats(far, 3);
    expect(proxy.opened).toBe(2);
    expect(far.stats).toMatchObject({ up: true, nodes: 2 });
    expect(far.stats.rttMs).toBeGreaterThan(390);
    expect(calls.flat()).toEqual([]);
  });
});

describe('a server that is frozen', () => {
  it('is noticed by all nodes, none of which takes another for lost when it goes on', async () => {
    const [a, b] = [await direct(), await direct()];
    const calls = [...[a, b].map(watched)];
    await server.signal('SIGSTOP');
    await Promise.all([isDown(a), isDown(b)]);
    await eventually(() => expect(a.trouble).toBeDefined());
    await server.signal('SIGCONT');
    await Promise.all([isUp(a), isUp(b)]);
    await eventually(() => expect(a.alive()).toHaveLength(2));
    await beats(b, 5);
    expect(calls.flat().filter((call) => call.startsWith('gone'))).toEqual([]);
    expect(a.trouble).toBeUndefined();
  });
});

/** Waits until a node has looked at the others so many times. */
async function beats(node: RedisCluster, count: number): Promise<void> {
  const looks = () => node.engineCommands.smembers ?? 0;
  const first = looks();
  await eventually(() => expect(looks() - first).toBeGreaterThanOrEqual(count));
}

describe('a server that is killed and starts again', () => {
  it('with its data takes no node for lost, and keeps the epoch', async () => {
    const [a, b] = [await direct(), await direct()];
    const calls = [watched(a), watched(b)];
    await eventually(() => expect(a.alive()).toHaveLength(2));
    // The file has what was written a second ago.
    await server.command('CONFIG', 'SET', 'appendfsync', 'always');
    await beats(a, 2);
    await server.signal('SIGKILL');
    await isDown(a);
    await server.run();
    await Promise.all([isUp(a), isUp(b)]);
    await beats(a, 20);
    expect(calls.flat().filter((call) => /gone|emptied/.test(call))).toEqual([]);
    expect(a.alive()).toHaveLength(2);
  });

  it('without its data lets the others wait for a node that comes back later', async () => {
    const { node: late, proxy } = await behindProxy();
    const times = { ...quickTimes, graceMs: 20_000 };
    const prompt = await startNode({ config: { url: server.url }, times });
    const calls = watched(prompt);
    await eventually(() => expect(prompt.alive()).toHaveLength(2));
    proxy.cut();
    await isDown(late);
    await server.command('FLUSHALL');
    // More looks than it takes to lose a node.
    await beats(prompt, 10);
    proxy.mend();
    await isUp(late);
    await beats(late, 2);
    await beats(prompt, 2);
    expect(calls.filter((call) => call.startsWith('gone'))).toEqual([]);
    expect(prompt.alive()).toHaveLength(2);
  });

  it('without its data tells so, once', async () => {
    const [a, b] = [await direct(), await direct()];
    const calls = [watched(a), watched(b)];
    await server.command('FLUSHALL');
    await eventually(() => expect(calls.every((each) => each.includes('emptied'))).toBe(true));
    await eventually(() => expect(calls.every((each) => each.includes('lapsed'))).toBe(true));
    await beats(a, 20);
    expect(calls.map((each) => each.filter((call) => call === 'emptied'))).toEqual([
      ['emptied'],
      ['emptied'],
    ]);
    expect(calls.flat().filter((call) => call.startsWith('gone'))).toEqual([]);
    expect(await server.command('GET', 'w:layout')).toBe('1');
    await eventually(() => expect(a.alive()).toHaveLength(2));
  });
});

describe('a server without memory', () => {
  it('keeps the leases of its nodes, and their messages', async () => {
    const [a, b] = [await direct(), await direct()];
    const calls = [watched(a), watched(b)];
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    const heard: unknown[] = [];
    b.on('t', (body) => void heard.push(body));
    // Longer than a lease, and than the time in which no node is lost.
    await beats(a, (1.2 * (quickTimes.leaseMs + quickTimes.graceMs)) / quickTimes.beatMs);
    expect(a.alive()).toHaveLength(2);
    expect(await a.send(b.nodeId, 't', 1)).toBe(true);
    await eventually(() => expect(heard).toEqual([1]));
    expect([a.stats.up, calls.flat()]).toEqual([true, []]);
  });
});

describe('messages that do not arrive', () => {
  /** Sends numbers until told to stop; the receiver counts the gaps it is told of between two numbers. */
  async function counted(sender: RedisCluster, receiver: RedisCluster): Promise<() => Promise<void>> {
    const heard: (number | 'gap')[] = [];
    receiver.on('n', (body) => void heard.push(body as number));
    receiver.watch({ gap: () => void heard.push('gap') });
    let next = 0;
    const timer = setInterval(() => void sender.send(receiver.nodeId, 'n', next++), 5);
    later(() => clearInterval(timer));
    await eventually(() => expect(heard.length).toBeGreaterThan(0));
    return async () => {
      clearInterval(timer);
      // Also the last one is heard, or missed.
      await eventually(() => {
        const last = heard.filter((each) => each !== 'gap').at(-1);
        const isComplete = last === next - 1 || heard.lastIndexOf('gap') > heard.indexOf(last as number);
        expect(isComplete).toBe(true);
      });
      const numbers = heard.filter((each) => each !== 'gap') as number[];
      expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
      let missing = 0;
      for (let at = 0; at < numbers.length; at++) {
        const [before, now] = [numbers[at - 1] ?? -1, numbers[at] as number];
        if (now === before + 1) continue;
        missing += now - before - 1;
        const between = heard.slice(at === 0 ? 0 : heard.indexOf(before), heard.indexOf(now));
        expect([before, now, between.includes('gap')]).toEqual([before, now, true]);
      }
      expect(missing).toBeGreaterThan(0);
    };
  }

  it('because each tenth is lost are all noticed', async () => {
    let count = 0;
    const { node: receiver } = await behindProxy(dropMessages(() => ++count % 10 === 0));
    const sender = await direct();
    const check = await counted(sender, receiver);
    await eventually(() => expect(count).toBeGreaterThan(300));
    await check();
  });

  it('because the last one of all is lost are noticed', async () => {
    const { node: receiver } = await behindProxy(dropMessages((text) => text.includes('the last one')));
    const sender = await direct();
    const calls = watched(receiver);
    await sender.send(receiver.nodeId, 'n', 'the first one');
    await beats(receiver, 3);
    expect(calls).toEqual([]);
    expect(await sender.send(receiver.nodeId, 'n', 'the last one')).toBe(true);
    await eventually(() => expect(calls).toEqual(['gap']));
  });

  it('because the subscription is killed again and again are all noticed', async () => {
    const [sender, receiver] = [await direct(), await direct()];
    const check = await counted(sender, receiver);
    for (let round = 0; round < 20; round++) {
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await isUp(receiver);
      await beats(receiver, 2);
    }
    await check();
    await eventually(() => expect(receiver.stats.up && sender.stats.up).toBe(true));
  });

  it('because the subscription is dead although its connection lives are noticed, and it is replaced', async () => {
    let isDeaf = false;
    const { node, proxy } = await behindProxy(dropMessages(() => isDeaf));
    const calls = watched(node);
    await beats(node, 3);
    const { opened } = proxy;
    isDeaf = true;
    await eventually(() => expect(proxy.opened).toBeGreaterThan(opened));
    isDeaf = false;
    await eventually(() => expect(calls).toContain('gap'));
    await isUp(node);
  });
});

describe('the log', () => {
  it('says once for each link that the engine is away, and that it is back', async () => {
    const { logger, lines } = recordingLogger();
    const node = await startNode({ config: { url: server.url }, logger });
    await server.signal('SIGKILL');
    await isDown(node);
    await eventually(() => expect(node.trouble).toBeDefined());
    await server.run();
    await isUp(node);
    const said = (text: string) => lines.filter(({ msg }) => msg === text);
    expect(said('the engine is away')).toHaveLength(2);
    expect(said('the engine is back')).toHaveLength(2);
    const link = expect.stringContaining(node.nodeId);
    expect(said('the engine is away')[0]).toMatchObject({
      engine: server.socketPath,
      link,
      why: expect.any(String),
    });
  });
});
