import clusterRedis from '../../plugins/cluster-redis/index.js';
import streamsRedis from '../../plugins/streams-redis/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { type Hive, type HiveOptions, startHive } from '../support/hive.js';
import type { RedisServer } from '../support/redis-server.js';
import { later } from './node.js';

/** A whole server on this Redis, which stops with `endAll`. */
export async function startNodeHive(url: string, options: HiveOptions = {}): Promise<Hive> {
  const hive = await startHive({
    ...options,
    streams: streamsRedis,
    plugins: [clusterRedis, ...(options.plugins ?? [])],
    config: { 'cluster-redis': { url }, 'streams-redis': { url }, ...options.config },
  });
  later(() => hive.close());
  return hive;
}

/** A proxy in front of Redis, which has a port, that ends with `endAll`. */
export async function proxyOf(server: RedisServer, filter?: FaultProxy['filter']): Promise<FaultProxy> {
  const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
  proxy.filter = filter;
  later(() => proxy.close());
  return proxy;
}
