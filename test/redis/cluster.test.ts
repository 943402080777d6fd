import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterWatcher } from '#kernel';
import { eventually } from '../support/eventually.js';
import { rejection } from '../support/kernel.js';
import { RedisServer } from '../support/redis-server.js';
import { endAll, impatientTimes, startNode } from './node.js';

let server: RedisServer;
let prefixes = 0;
const config = () => ({ url: server.url, prefix: `t${prefixes++}` });

beforeAll(async () => {
  server = await RedisServer.start();
});
afterEach(endAll);
afterAll(() => server.stop());

/** The calls of a watcher, as lines. */
function recorded(): { readonly watcher: ClusterWatcher; readonly calls: string[] } {
  const calls: string[] = [];
  const watcher: ClusterWatcher = {
    gone: (id, why) => void calls.push(`gone ${id} ${why}`),
    gap: (id) => void calls.push(`gap ${id}`),
    lapsed: () => void calls.push('lapsed'),
    emptied: () => void calls.push('emptied'),
  };
  return { watcher, calls };
}

describe('nodes on one Redis server', () => {
  it('see each other, with their loads, and see at once that one leaves', async () => {
    const common = config();
    const a = await startNode({ config: common });
    const b = await startNode({ config: common });
    const other = await startNode({ config: config() });
    let running = 1;
    a.publishLoad(() => ({ running }));
    a.publishLoad(() => ({ maxRunning: 64 }));
    await eventually(() =>
      expect(b.alive()[1]).toEqual({ id: a.nodeId, load: { running: 1, maxRunning: 64 } }),
    );
    running = 5;
    await eventually(() => expect(b.alive()[1]?.load).toMatchObject({ running: 5 }));
    expect(a.alive()[0]).toEqual({ id: a.nodeId, load: { running: 5, maxRunning: 64 } });
    expect(b.stats.nodes).toBe(2);
    expect(other.alive().map(({ id }) => id)).toEqual([other.nodeId]);
    const { watcher, calls } = recorded();
    b.watch(watcher);
    await a.stop();
    await eventually(() => expect(calls).toEqual([`gone ${a.nodeId} left`]));
    expect(b.alive().map(({ id }) => id)).toEqual([b.nodeId]);
    expect(await server.command('SMEMBERS', `${common.prefix}:nodes`)).toEqual([b.nodeId]);
  });

  it('send each other messages, in order, to one or to all others', async () => {
    const common = config();
    const [a, b, c] = await Promise.all([1, 2, 3].map(() => startNode({ config: common })));
    const heard: unknown[] = [];
    for (const node of [a, b, c])
      node?.on(
        't',
        (body, from) =>
          void heard.push([node === b ? 'b' : node === c ? 'c' : 'a', body, from === a?.nodeId]),
      );
    const sent = Array.from({ length: 1000 }, (_, index) => a!.send(b!.nodeId, 't', { index }));
    expect(new Set(await Promise.all(sent))).toEqual(new Set([true]));
    await eventually(() => expect(heard).toHaveLength(1000));
    expect(heard).toEqual(Array.from({ length: 1000 }, (_, index) => ['b', { index }, true]));
    heard.length = 0;
    expect(await a!.broadcast('t', 'all')).toBe(true);
    await eventually(() => expect(heard).toHaveLength(2));
    expect(new Set(heard.map(String))).toEqual(new Set(['b,all,true', 'c,all,true']));
    // All messages of a turn are one command.
    expect(a!.engineCommands.publish).toBeLessThan(100);
  });

  it('hear messages to all in one order, whoever sends them, with numbers that grow whatever the engine loses', async () => {
    const common = config();
    const nodes = [await startNode({ config: common }), await startNode({ config: common })];
    const heard: [seq: number, body: unknown][][] = nodes.map((node) => {
      const own: [number, unknown][] = [];
      node.follow('t', { message: (seq, body) => void own.push([seq, body]), missing: () => {} });
      return own;
    });
    const send = (count: number) =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const body = `{${index}"\\ü\u0000`;
          return [await nodes[index % 2]!.sequence('t', body), body] as const;
        }),
      );
    const sent = [...(await send(500))];
    const all = () => [...sent].sort(([a], [b]) => a - b);
    await eventually(() => expect(heard).toEqual([all(), all()]));
    await server.command('DEL', `${common.prefix}:seq`);
    sent.push(...(await send(10)));
    await eventually(() => expect(heard).toEqual([all(), all()]));
    expect(new Set(sent.map(([seq]) => seq)).size).toBe(510);
    expect(nodes[0]!.reached).toBe(all().at(-1)?.[0]);
    await expect(nodes[0]!.sequence('t', 'x'.repeat(1_000_001))).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('say that a message reached nobody, or was too large', async () => {
    const a = await startNode({ config: config() });
    expect(await a.send('nobody', 't', 1)).toBe(false);
    expect(await a.broadcast('t', 1)).toBe(false);
    expect(() => a.send('nobody', 't', 'x'.repeat(1_000_001))).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
    const sent = Array.from({ length: 40 }, () => a.send(a.nodeId, 't', 'x'.repeat(900_000)));
    expect((await Promise.all(sent)).filter(Boolean)).toHaveLength(17);
    expect(await a.send(a.nodeId, 't', 1)).toBe(true);
  });

  it('hear a message although a listener before it fails', async () => {
    const a = await startNode({ config: config() });
    const heard: unknown[] = [];
    a.on('t', () => {
      throw new Error('no');
    });
    const undo = a.on('t', (body) => void heard.push(body));
    await a.send(a.nodeId, 't', undefined);
    await eventually(() => expect(heard).toEqual([null]));
    undo();
    await a.send(a.nodeId, 't', 2);
    await a.send(a.nodeId, 't', 3);
    expect(heard).toEqual([null]);
  });

  it('go on although a listener, a watcher or a load of a plugin fails, at once or later', async () => {
    const common = config();
    const [a, b] = [await startNode({ config: common }), await startNode({ config: common })];
    let calls = 0;
    a.publishLoad(() => {
      calls++;
      throw new Error('no');
    });
    a.publishLoad(() => ({ running: 1 }));
    a.on('t', async () => {
      calls++;
      throw new Error('no');
    });
    a.watch({
      emptied: async () => {
        calls++;
        throw new Error('no');
      },
    });
    expect(await b.send(a.nodeId, 't', 1)).toBe(true);
    await server.command('DEL', `${common.prefix}:epoch`);
    await eventually(() => expect(calls).toBe(3));
    await eventually(() => expect(b.alive()[1]).toEqual({ id: a.nodeId, load: { running: 1 } }));
    expect(a.stats.up).toBe(true);
  });

  it('hear nothing of another database with the same prefix', async () => {
    const common = config();
    const a = await startNode({ config: common });
    const b = await startNode({ config: { ...common, url: `${common.url}?db=1` } });
    const { watcher, calls } = recorded();
    a.watch(watcher);
    a.on('t', () => void calls.push('heard'));
    expect(await b.broadcast('t', 1)).toBe(false);
    await b.stop();
    expect(await a.send(a.nodeId, 't', 1)).toBe(true);
    await eventually(() => expect(calls).toEqual(['heard']));
  });

  it('ignore what no node has sent', async () => {
    const common = config();
    const a = await startNode({ config: common });
    const heard: unknown[] = [];
    a.on('t', (body) => void heard.push(body));
    for (const text of [
      '',
      'x',
      '[]',
      '["a",1]',
      '["a",-1,[]]',
      '["a",1,[["t"]]]',
      '{"t":1}',
      '["a",1e400,[]]',
    ])
      await server.command('PUBLISH', `${common.prefix}:n:${a.nodeId}`, text);
    await a.send(a.nodeId, 't', 'well');
    await eventually(() => expect(heard).toEqual(['well']));
  });
});

describe('a node that ends without a word', () => {
  it('is lost to all others, and to one that starts later until somebody has taken over', async () => {
    const common = config();
    const a = await startNode({ config: common });
    const b = await startNode({ config: common });
    const { watcher, calls } = recorded();
    b.watch(watcher);
    let tries = 0;
    b.watch({
      gone: async () => {
        tries++;
        if (tries < 3) throw new Error('the engine is away');
      },
    });
    // As a process that is killed leaves it.
    await server.command('SADD', `${common.prefix}:nodes`, 'dead-1');
    await eventually(() => expect(calls).toContain('gone dead-1 lost'));
    await eventually(() => expect(tries).toBe(3));
    await eventually(async () =>
      expect(await server.command('SISMEMBER', `${common.prefix}:nodes`, 'dead-1')).toBe(0),
    );
    expect(a.alive()).toHaveLength(2);
    expect(calls.filter((call) => !call.startsWith('gone dead-1'))).toEqual([]);
  });
});

describe('many nodes that have crashed', () => {
  it('are all taken care of, and keep no other one from living', async () => {
    const common = config();
    const dead = Array.from({ length: 12_000 }, (_, index) => `dead-${index}`);
    await server.command('SADD', `${common.prefix}:nodes`, ...dead);
    const a = await startNode({ config: common });
    let lost = 0;
    a.watch({ gone: () => void lost++ });
    await eventually(() => expect(lost).toBe(12_000));
    await eventually(async () =>
      expect(await server.command('SMEMBERS', `${common.prefix}:nodes`)).toEqual([a.nodeId]),
    );
    expect(a.stats.up).toBe(true);
  });
});

describe('an id of a node', () => {
  it('is another one after each start, and can be read by people', async () => {
    const [a, b] = [await startNode({ config: config() }), await startNode({ config: config() })];
    expect(a.nodeId).not.toBe(b.nodeId);
    expect(a.nodeId).toMatch(/^[\w.-]+-[\w-]{8}$/);
  });
});

describe('a start', () => {
  const startFails = async (more: object) =>
    (await rejection(startNode({ config: { ...config(), ...more }, times: impatientTimes }))) as Error & {
      code: string;
    };

  it('is refused by data of another layout, which stay as they are', async () => {
    await server.command('SET', 'old:layout', '0');
    expect(await startFails({ prefix: 'old' })).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      message: expect.stringContaining('"old:…" are those of another version of Waggle (layout 0, here 1)'),
    });
    expect(await server.command('KEYS', 'old:*')).toEqual(['old:layout']);
  });

  it('is refused by a server that drops keys, unless that is allowed', async () => {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await startFails({})).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      message: expect.stringMatching(/maxmemory-policy allkeys-lru.*allowEviction/),
    });
    await startNode({ config: { ...config(), allowEviction: true } });
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  it.each([
    ['nothing listens', { url: 'redis://127.0.0.1:1' }, /127\.0\.0\.1:1: nothing listens there/],
    ['there is no socket', { url: 'unix:/nowhere/socket' }, /there is no such socket/],
    [
      'the host is unknown',
      { url: 'redis://name.invalid' },
      /the name of its host (is unknown|cannot be looked up now)/,
    ],
    ['the database does not exist', { database: true }, /has no database of this number/],
  ])(
    'says what is wrong where %s',
    async (_, { database, ...more }: { url?: string; database?: boolean }, words) => {
      const url = database ? { url: `${server.url}?db=99` } : more;
      expect(await startFails(url)).toMatchObject({
        code: 'ENGINE_UNUSABLE',
        message: expect.stringMatching(words),
      });
    },
  );
});
