import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ask,
  type CreateNodes,
  nodesOver,
  onNode,
  readFrames,
  sharedStreamsContract,
} from '../contracts/shared-streams.contract.js';
import { done, text } from '../support/agents.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { RedisServer } from '../support/redis-server.js';
import { endAll } from './node.js';
import { startStreamsNode } from './streams-node.js';

let leaks: LeakCheck;
let server: RedisServer;

beforeEach(async () => {
  leaks = leakCheck();
  server = await RedisServer.start();
});
afterEach(async () => {
  await endAll();
  await server.stop();
  await leaks.settled();
});

const create: CreateNodes = (nodes) =>
  Promise.all(
    nodes.map(async ({ chat, limits, bus }) => {
      const node = await startStreamsNode({ url: server.url });
      return node.streams(chat, limits, bus);
    }),
  );

sharedStreamsContract('streams-redis', 2, create);
sharedStreamsContract('streams-redis', 3, create);

describe('a reply that another node has taken over', () => {
  it('ends on its own node with SERVER_LOST, and what it wrote later is nowhere', async () => {
    const { a, b, agent } = await nodesOver(create, 2, [text('one'), 'wait', text(' two'), 'wait', done]);
    const reply = await a.start(ask());
    const reader = reply.read();
    const frames = readFrames(reader);
    await onNode(b, reply);
    const [key = ''] = await server.command<string[]>('KEYS', '*:l:*');
    await server.command('XADD', key, '2-0', 'd', '[3,0,[]]');
    agent.release();
    expect((await frames).at(-1)).toMatchObject({ type: 'error', code: 'SERVER_LOST' });
    expect(agent.running).toBe(0);
    const entries = await server.command<[string, string[]][]>('XRANGE', key, '-', '+');
    expect(JSON.stringify(entries)).not.toContain('two');
    expect(entries.at(-1)?.[0]).toBe('2-0');
  });
});

describe('what is left in Redis', () => {
  it('is nothing after a while, and names no id before that', async () => {
    const { a, b } = await nodesOver(create, 2, [text('Hello'), done], { keepMs: 200 });
    const command = ask();
    const reply = await a.start(command);
    await readFrames((await onNode(b, reply)).read());
    const keys = await server.command<string[]>('KEYS', '{*');
    expect(keys.length).toBeGreaterThan(1);
    const values = await Promise.all(
      keys.map(async (key) => [key, await server.command('DUMP', key)].join(' ')),
    );
    for (const value of values) {
      expect(value).not.toContain(reply.streamId);
      expect(value).not.toContain(command.requestId);
    }
    await expect.poll(() => server.command('KEYS', '{*')).toEqual([]);
  });
});
