import clusterRedis from '../../plugins/cluster-redis/index.js';
import streamsRedis from '../../plugins/streams-redis/index.js';
import { type Hive, type HiveOptions, startHive } from '../support/hive.js';
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
