/// <reference lib="dom" />
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { Cluster, definePlugin, type TaskDefinition } from '#kernel';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import storeRedis from '../../plugins/store-redis/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { startNodeHive } from '../redis/hives.js';
import { endAll, later } from '../redis/node.js';
import { startBrowser, untilText, Visitor } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import type { Hive } from '../support/hive.js';
import { RedisServer } from '../support/redis-server.js';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
import { parts } from './agents-at-work.js';
import { answered, connected, send } from './stage.js';

let browser: Browser;
let redis: RedisServer;
const ran: unknown[] = [];

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  ran.length = 0;
  redis = await RedisServer.start();
});
afterEach(async () => {
  await endAll();
  await redis.stop();
});

const refund: TaskDefinition<object, string> = {
  name: 'orders:refund',
  lane: 'main',
  tool: { approval: 'ask', description: 'Pays back' },
  input: z.looseObject({}),
  run(input) {
    ran.push(input);
    return 'paid';
  },
};

/** A server with the chat page, in a cluster. */
function startNode(): Promise<Hive> {
  const payer = definePlugin({
    name: 'payer',
    apiVersion: 1,
    setup(ctx) {
      ctx.registerTask(refund as TaskDefinition);
      const turns = [[say('I will pay. '), use('orders_refund', { amount: 5 }, 'c1')], [say('That was it.')]];
      ctx.addAgent(new ScriptedModel('payer', turns));
    },
  });
  return startNodeHive(redis.url, {
    store: storeRedis,
    plugins: [payer, endpointOverview, endpointConversations, uiWeb],
    config: { store: { url: redis.url }, 'agent-queen': { candidates: ['payer'], tools: ['*'] } },
  });
}

/** One address in front of servers, of which one has all connections. */
async function balancer() {
  const sockets = new Set<Socket>();
  let port = 0;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  later(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo({ url }: Hive) {
      port = Number(new URL(url).port);
      for (const socket of sockets) socket.destroy();
    },
  };
}

it.each([
  ['when it is loaded again', true],
  ['when its connection goes there', false],
])('the page asks on another server %s, and a tool is allowed there', async (_, reloads) => {
  const [a, b] = [await startNode(), await startNode()];
  await eventually(() => expect(a.kernel.get(Cluster).alive()).toHaveLength(2));
  const balance = await balancer();
  balance.leadTo(a);
  const visitor = await Visitor.come(browser, balance.url);
  later(() => visitor.close());
  const page = await visitor.visit();
  await connected(page);
  await send(page, 'Pay back');
  const allow = page.getByRole('button', { name: 'Allow' });
  await allow.waitFor();
  balance.leadTo(b);
  if (reloads) await page.reload();
  await eventually(() => expect(b.gauges().connections).toBe(1));
  await connected(page);
  await allow.click();
  await answered(page);
  expect(await parts(page)).toEqual(['I will pay.', 'orders:refund done', 'That was it.']);
  await untilText(page.locator('.approval'), 'Allowed by you.');
  expect(ran).toEqual([{ amount: 5 }]);
});
