import { afterAll, beforeAll } from 'vitest';
import { chatStreamsContract } from '../contracts/chat-streams.contract.js';
import { RedisServer } from '../support/redis-server.js';
import { endAll } from './node.js';
import { type StreamsNode, startStreamsNode } from './streams-node.js';

let server: RedisServer;
let node: StreamsNode;

beforeAll(async () => {
  server = await RedisServer.start();
  node = await startStreamsNode({ url: server.url });
});
afterAll(async () => {
  await endAll();
  await server.stop();
});

chatStreamsContract('streams-redis', (chat, limits, bus) => node.streams(chat, limits, bus));
