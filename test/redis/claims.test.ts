import { describe, expect, it } from 'vitest';
import type { Undo } from '#kernel';
import { clusterTimes, type RedisCluster } from '../../plugins/cluster-redis/redis-cluster.js';
import { dropMessages } from '../support/drop-messages.js';
import { eventually } from '../support/eventually.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import { recordingLogger } from '../support/kernel.js';
import type { RedisServer } from '../support/redis-server.js';
import { quickTimes, redisForEach, startNode, startNodeBehindProxy } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

const direct = () => startNode({ config: { url: server.url } });

const behindProxy = (filter?: FaultProxy['filter']) => startNodeBehindProxy(server, filter);

/** Everybody who holds ids, as the nodes are told. */
class Holders {
  /** Claims in force, by id, each as the number of the claim. */
  readonly held = new Map<string, Set<number>>();
  readonly lostAtMs = new Map<number, number>();
  #claims = 0;

  claim(node: RedisCluster, id: string): { readonly number: number; readonly undo: Undo } {
    const number = ++this.#claims;
    const holders = this.held.get(id) ?? new Set();
    this.held.set(id, holders.add(number));
    const undo = node.claim(id, () => {
      holders.delete(number);
      expect(this.lostAtMs.has(number)).toBe(false);
      this.lostAtMs.set(number, performance.now());
    });
    return { number, undo };
  }

  of(id: string): number[] {
    return [...(this.held.get(id) ?? [])];
  }
}

/** Waits until the engine has so many claims of living holders. */
async function settled(count: number): Promise<void> {
  await eventually(async () => {
    const keys = await server.command<string[]>('KEYS', 'w:c:*');
    expect(keys).toHaveLength(count);
  });
}

describe('a claim', () => {
  it('of 1000 ids over two nodes in turns has one holder in the end, the latest, and each other one is told once', async () => {
    const [a, b] = [await direct(), await direct()];
    const holders = new Holders();
    const ids = Array.from({ length: 1000 }, (_, index) => `client-${index}`);
    let last = new Map<string, number>();
    const delays: number[] = [];
    for (const node of [a, b, a, b]) {
      const before = last;
      const at = performance.now();
      last = new Map(ids.map((id) => [id, holders.claim(node, id).number]));
      await eventually(() => {
        for (const id of ids) expect(holders.of(id)).toEqual([last.get(id)]);
      });
      // In the same moment the order of two nodes is that of Redis.
      await settled(1000);
      for (const number of before.values()) delays.push((holders.lostAtMs.get(number) ?? Number.NaN) - at);
    }
    expect(delays).toHaveLength(3000);
    expect([a.stats.takeovers, b.stats.takeovers]).toEqual([2000, 1000]);
  });

  it('of 20,000 ids at once costs no lease', async () => {
    const { logger, lines } = recordingLogger();
    const node = await startNode({ config: { url: server.url }, logger, times: clusterTimes });
    const undos = Array.from({ length: 20_000 }, (_, index) => node.claim(`client-${index}`, () => {}));
    await settled(20_000);
    for (const undo of undos) void undo();
    const { smembers = 0 } = node.engineCommands;
    await eventually(() => expect(node.engineCommands.smembers).toBeGreaterThan(smembers + 1));
    expect(lines.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(node.stats.up).toBe(true);
  });

  it('of the same ids by three nodes at once has one holder in the end', async () => {
    const nodes = [await direct(), await direct(), await direct()];
    const holders = new Holders();
    const ids = Array.from({ length: 200 }, (_, index) => `client-${index}`);
    for (let round = 0; round < 5; round++)
      for (const node of nodes) for (const id of ids) holders.claim(node, id);
    await eventually(() => {
      for (const id of ids) expect(holders.of(id)).toHaveLength(1);
    });
    // And it is the one that the engine has.
    for (const id of ids.slice(0, 5)) {
      const winner =
        nodes[
          ((holders.of(id)[0] as number) - 1) % 600 < 200
            ? 0
            : ((holders.of(id)[0] as number) - 1) % 600 < 400
              ? 1
              : 2
        ];
      const stored = await Promise.all(
        (await server.command<string[]>('KEYS', 'w:c:*')).map((key) => server.command('HGET', key, 'n')),
      );
      expect(stored).toContain(winner?.nodeId);
    }
  });

  it('that is undone tells nobody, stands in nobody’s way, and leaves nothing behind that lasts', async () => {
    const [a, b] = [await direct(), await direct()];
    const holders = new Holders();
    const first = holders.claim(a, 'client');
    await settled(1);
    await first.undo();
    await first.undo();
    const second = holders.claim(b, 'client');
    await eventually(async () => {
      const [key = ''] = await server.command<string[]>('KEYS', 'w:c:*');
      expect(await server.command('HGET', key, 'n')).toBe(b.nodeId);
    });
    await second.undo();
    await eventually(async () => {
      const [key = ''] = await server.command<string[]>('KEYS', 'w:c:*');
      expect(await server.command('HGET', key, 'n')).toBe('');
      expect(await server.command<number>('PTTL', key)).toBeLessThanOrEqual(60_000);
    });
    expect(holders.lostAtMs.size).toBe(0);
  });

  it('keeps no id in the names of keys', async () => {
    const a = await direct();
    a.claim('secret-id', () => {});
    await settled(1);
    expect(JSON.stringify(await server.command('KEYS', '*'))).not.toContain('secret-id');
  });

  it('comes and goes 2000 times quickly on two nodes, and the last one holds', async () => {
    const [a, b] = [await direct(), await direct()];
    const holders = new Holders();
    for (let round = 0; round < 1000; round++)
      for (const node of [a, b]) {
        const { undo } = holders.claim(node, 'client');
        if (round % 3 === 0) void undo();
        if (round % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    const last = holders.claim(a, 'client');
    const undone = new Set(
      [...holders.of('client')].filter(
        (number) => Math.floor((number - 1) / 2) % 3 === 0 && number !== last.number,
      ),
    );
    await eventually(() =>
      expect(holders.of('client').filter((number) => !undone.has(number))).toEqual([last.number]),
    );
  });
});

describe('a claim that the engine could not hear of', () => {
  it('is made up for when the engine is back, and the latest of all nodes holds', async () => {
    const { node: a, proxy } = await behindProxy();
    const b = await direct();
    const holders = new Holders();
    const ids = Array.from({ length: 100 }, (_, index) => `client-${index}`);
    proxy.cut();
    await eventually(() => expect(a.stats.up).toBe(false));
    // By half of them a is later, by half b.
    const early = ids.map((id, index) => holders.claim(index % 2 ? a : b, id).number);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const late = ids.map((id, index) => holders.claim(index % 2 ? b : a, id).number);
    expect(holders.lostAtMs.size).toBe(0);
    proxy.mend();
    await eventually(() => {
      for (const [index, id] of ids.entries()) expect([id, holders.of(id)]).toEqual([id, [late[index]]]);
    });
    expect(early.every((number) => holders.lostAtMs.has(number))).toBe(true);
  });

  it('is written again after a loss of all data', async () => {
    const [a, b] = [await direct(), await direct()];
    const holders = new Holders();
    holders.claim(a, 'one');
    holders.claim(b, 'two');
    await settled(2);
    await server.command('FLUSHALL');
    await settled(2);
    const later = holders.claim(b, 'one');
    await eventually(() => expect(holders.of('one')).toEqual([later.number]));
    expect(holders.of('two')).toHaveLength(1);
  });

  it('is written once there is memory again', async () => {
    const [a, b] = [await direct(), await direct()];
    const holders = new Holders();
    const first = holders.claim(a, 'client');
    await settled(1);
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    const second = holders.claim(b, 'client');
    const { engineCommands: commands } = b;
    await eventually(() => expect(b.engineCommands.evalsha).toBeGreaterThan((commands.evalsha ?? 0) + 3));
    expect(holders.of('client')).toEqual([first.number, second.number]);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await eventually(() => expect(holders.of('client')).toEqual([second.number]));
  });
});

describe('a message that a claim is superseded', () => {
  it('may be lost: the older holder is told all the same', async () => {
    const { node: a } = await behindProxy(dropMessages((text) => text.includes('superseded')));
    const b = await direct();
    const holders = new Holders();
    holders.claim(a, 'client');
    await settled(1);
    const second = holders.claim(b, 'client');
    await eventually(() => expect(holders.of('client')).toEqual([second.number]));
  });
});

describe('claims that nobody renews', () => {
  it('expire, and those of a living node do not', async () => {
    const claims = { keepMs: 1000, renewMs: 200 };
    const node = await startNode({ config: { url: server.url }, times: { ...quickTimes, claims } });
    const holders = new Holders();
    holders.claim(node, 'living');
    await settled(1);
    const [key = ''] = await server.command<string[]>('KEYS', 'w:c:*');
    await server.command('HSET', 'w:c:dead', 'n', 'dead', 'g', '1', 'at', '1');
    await server.command('PEXPIRE', 'w:c:dead', '1500');
    await eventually(async () => expect(await server.command('EXISTS', 'w:c:dead')).toBe(0));
    expect(await server.command('HGET', key, 'g')).toBe('1');
    expect(holders.of('living')).toHaveLength(1);
  });
});
