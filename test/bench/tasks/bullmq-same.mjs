/** BullMQ in the version, and over the client, that Waggle uses, with its worker in the same process. */
import { createRequire } from 'node:module';
import { serveBullmq } from './serve-bullmq.mjs';

const require = createRequire(new URL('../../../package.json', import.meta.url));
const { createNodeRedisClient, Queue, Worker } = require('bullmq');
const { createClient } = require('@redis/client');

const connect = async () => {
  const client = createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}` });
  await client.connect();
  return createNodeRedisClient(client);
};
await serveBullmq({ Queue, Worker }, { connection: await connect() }, { connection: await connect() });
