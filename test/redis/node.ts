import type { Logger } from '#kernel';
import type { RedisConfig } from '#sdk/redis';
import { redisConfig } from '#sdk/redis';
import { type ClusterTimes, clusterTimes, RedisCluster } from '../../plugins/cluster-redis/redis-cluster.js';
import { silentLogger } from '../support/kernel.js';

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
