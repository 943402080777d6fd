import { availableParallelism } from 'node:os';
import type { ServerSettings } from '../config/read-config.js';

/** The variable that makes a process one of several: `1/4` is the second of four. */
export const shardVariable = 'WAGGLE_SHARD';

/** The number of processes that a config asks for. */
export function shardCount({ shards }: Pick<ServerSettings, 'shards'>): number {
  return shards === 'auto' ? availableParallelism() : shards;
}
