import { afterAll, beforeAll } from 'vitest';
import type { RedisCluster } from '../../plugins/cluster-redis/redis-cluster.js';
import { taskEngineContract } from '../contracts/task-engine.contract.js';
import { RedisServer } from '../support/redis-server.js';
import { createBullNode } from './bull-node.js';
import { endAll, startNode } from './node.js';

let server: RedisServer;
let cluster: RedisCluster;
let count = 0;

beforeAll(async () => {
  server = await RedisServer.start();
  cluster = await startNode({ config: { url: server.url } });
});
afterAll(async () => {
  await endAll();
  await server.stop();
});

taskEngineContract(
  'tasks-bullmq',
  (limits) => {
    count++;
    return createBullNode({ url: server.url, prefix: `c${count}`, ...limits }, cluster);
  },
  { isShared: true },
);
