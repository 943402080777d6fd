import { afterEach, beforeEach, expect } from 'vitest';
import type { Logger } from '#kernel';
import type { RedisConfig } from '#sdk/redis';
import { redisConfig } from '#sdk/redis';
import { type ClusterTimes, clusterTimes, RedisCluster } from '../../plugins/cluster-redis/redis-cluster.js';
import { eventually } from '../support/eventually.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { silentLogger } from '../support/kernel.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { RedisServer } from '../support/redis-server.js';

/** Bounds in which a second stands for five or more. */
export const quickTimes: ClusterTimes = {
  ...clusterTimes,
  link: { connectMs: 2000, pingMs: 100, silentPings: 5, backOffMs: 50, firstMs: 15_000 },
  leaseMs: 2000,
  beatMs: 100,
  graceMs: 2500,
  troubleMs: 300,
};

/** The same for a start that fails. */
export const impatientTimes: ClusterTimes = { ...quickTimes, link: { ...quickTimes.link, firstMs: 100 } };

export interface NodeOptions {
  readonly config: Partial<RedisConfig>;
  readonly times?: ClusterTimes;
  readonly logger?: Logger;
}

const undos: (() => unknown)[] = [];

/** Has something undone by `endAll`. */
export function later(undo: () => unknown): void {
  undos.push(undo);
}

/** Ends what the test has begun, the last one first. In an `afterEach`, before the server is stopped. */
export async function endAll(): Promise<void> {
  for (let undo = undos.pop(); undo; undo = undos.pop()) await undo();
}

/** A node that has joined, and leaves with `endAll`. */
export async function startNode({ config, times, logger }: NodeOptions): Promise<RedisCluster> {
  const node = new RedisCluster(redisConfig.parse(config), logger ?? silentLogger, times ?? quickTimes);
  await node.start();
  later(() => node.stop());
  return node;
}

/** A proxy in front of Redis, which has a port, that ends with `endAll`. */
export async function proxyOf(server: RedisServer, filter?: FaultProxy['filter']): Promise<FaultProxy> {
  const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
  proxy.filter = filter;
  later(() => proxy.close());
  return proxy;
}

/** A copy of a Redis that is always half a second behind, and takes its place. */
export async function replicaOf(server: RedisServer) {
  const link = await proxyOf(server);
  const replica = await RedisServer.start({ withPort: true, config: [`replicaof 127.0.0.1 ${link.port}`] });
  later(() => replica.stop());
  await eventually(async () =>
    expect(await replica.command('INFO', 'replication')).toContain('master_link_status:up'),
  );
  link.delayMs = 500;
  return {
    replica,
    /** The server is lost, and the addresses of nodes lead to its copy. */
    async takeOver(addresses: readonly FaultProxy[]): Promise<void> {
      link.cut();
      for (const address of addresses) address.cut();
      await server.signal('SIGKILL');
      await replica.command('REPLICAOF', 'NO', 'ONE');
      for (const address of addresses) {
        address.switchTo({ port: replica.port, host: '127.0.0.1' });
        address.mend();
      }
    },
  };
}

/** A node behind a link of its own. */
export async function startNodeBehindProxy(
  server: RedisServer,
  filter?: FaultProxy['filter'],
): Promise<{ node: RedisCluster; proxy: FaultProxy }> {
  const proxy = await proxyOf(server, filter);
  const node = await startNode({ config: { url: `redis://127.0.0.1:${proxy.port}` } });
  return { node, proxy };
}

/** A Redis with a port for each test of a file, after which nothing is left. */
export function redisForEach(begin: (server: RedisServer) => void): void {
  let leaks: LeakCheck;
  let server: RedisServer;
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => {
    if (warning.name === 'MaxListenersExceededWarning') warnings.push(warning);
  };
  beforeEach(async () => {
    process.on('warning', onWarning);
    leaks = leakCheck();
    server = await RedisServer.start({ withPort: true });
    begin(server);
  });
  afterEach(async () => {
    await endAll();
    await server.stop();
    await leaks.settled();
    process.off('warning', onWarning);
    expect(warnings.splice(0)).toEqual([]);
  });
}
