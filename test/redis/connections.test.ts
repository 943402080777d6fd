import { describe, expect, it } from 'vitest';
import { Clients, Cluster, definePlugin } from '#kernel';
import { ScriptedAgent, text } from '../support/agents.js';
import { dropMessages } from '../support/drop-messages.js';
import { eventually } from '../support/eventually.js';
import type { Hive } from '../support/hive.js';
import type { RedisServer } from '../support/redis-server.js';
import { startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';
import { startNodeHive } from './hives.js';
import { later, proxyOf, redisForEach } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

const countOf = ({ kernel }: Hive) => kernel.get(Clients).count;

async function connect({ ws }: Pick<Hive, 'ws'>, clientId: string, userId?: string): Promise<WsClient> {
  const query = userId === undefined ? '' : `?user_id=${userId}`;
  const client = await WsClient.connect(`${ws}/${clientId}${query}`);
  later(() => client.close());
  return client;
}

/** Resolves when all that was sent to it before has arrived. */
async function upToDate(client: WsClient): Promise<void> {
  const from = client.frames.length;
  client.send({ type: 'ping' });
  await client.until((frame) => frame.type === 'pong' && client.frames.indexOf(frame) >= from);
}

const toldOf = ({ frames }: WsClient) =>
  frames.filter(({ type }) => type === 'stream_available').map(({ streamId }) => streamId);

/** Waits until the engine has so many claims that are held. */
async function claimed(count: number): Promise<void> {
  await eventually(async () => expect(await server.command('KEYS', 'w:c:*')).toHaveLength(count));
}

/** Waits until all of them see each other. */
async function together(...hives: readonly Hive[]): Promise<void> {
  await eventually(() => {
    for (const { kernel } of hives) expect(kernel.get(Cluster).alive()).toHaveLength(hives.length);
  });
}

/** An agent whose answer lasts until it is cancelled. */
const bees = definePlugin({
  name: 'bees',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new ScriptedAgent('bee', [text('buzz'), 'wait'])),
});
const endless = { type: 'stream_request', content: 'Hallo', agent: 'bee' };
const startNode = (url: string) => startNodeHive(url, { plugins: [bees] });

async function cancel(client: WsClient, streamId: string): Promise<void> {
  client.send({ type: 'cancel', streamId });
  await client.until((frame) => frame.type === 'cancelled' && frame.streamId === streamId);
}

describe('1000 clients over two nodes in turns', () => {
  it('have one open connection each, the latest, and each older one is closed with 4409', async () => {
    const config = { transport: { maxConnections: 5000 } };
    const [a, b] = [await startNodeHive(server.url, { config }), await startNodeHive(server.url, { config })];
    const ids = Array.from({ length: 1000 }, (_, index) => `client-${index}`);
    let open: readonly WsClient[] = [];
    for (const node of [a, b, a, b]) {
      const before = open;
      const opened: WsClient[] = [];
      for (let at = 0; at < ids.length; at += 100)
        opened.push(...(await Promise.all(ids.slice(at, at + 100).map((id) => connect(node, id)))));
      open = opened;
      await claimed(1000);
      const codes = await Promise.all(before.map(async ({ closed }) => (await closed).code));
      expect(codes.filter((code) => code !== 4409)).toEqual([]);
    }
    await eventually(() => expect([countOf(a), countOf(b)]).toEqual([0, 1000]));
    await Promise.all(open.map((client) => upToDate(client)));
  });
});

describe('connections of a client on two nodes', () => {
  it('are one each while Redis is away, and one in all after its return: the latest', async () => {
    const proxy = await proxyOf(server);
    const [a, b] = [await startNode(`redis://127.0.0.1:${proxy.port}`), await startNode(server.url)];
    proxy.cut();
    await eventually(() => expect(a.kernel.get(Cluster).stats.up).toBe(false));
    const [older, other] = [await connect(a, 'me'), await connect(b, 'other')];
    // The clocks of the nodes, in milliseconds, say which is the later one.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const newer = await connect(b, 'me');
    const newest = await connect(a, 'other');
    await Promise.all([older, other, newer, newest].map(upToDate));
    proxy.mend();
    expect([(await older.closed).code, (await other.closed).code]).toEqual([4409, 4409]);
    await Promise.all([newer, newest].map(upToDate));
    expect([countOf(a), countOf(b)]).toEqual([1, 1]);
  });

  it('are of different users where only the id is the same', async () => {
    const [a, b] = [await startNode(server.url), await startNode(server.url)];
    const [ann, bob] = [await connect(a, 'tab', 'ann'), await connect(b, 'tab', 'bob')];
    await claimed(2);
    await Promise.all([ann, bob].map(upToDate));
    const again = await connect(b, 'tab', 'ann');
    expect((await ann.closed).code).toBe(4409);
    await Promise.all([again, bob].map(upToDate));
  });
});

describe('a reply of a user', () => {
  it('is told to his connections on all nodes, once, and read there, by those that come later as well', async () => {
    const [a, b, c] = [await startNode(server.url), await startNode(server.url), await startNode(server.url)];
    await together(a, b, c);
    const tab = await connect(a, 'tab', 'ann');
    const [phone, other] = [await connect(b, 'phone', 'ann'), await connect(b, 'phone', 'bob')];
    tab.send({ ...endless, conversationId: 'k' });
    const available = await phone.until(({ type }) => type === 'stream_available');
    const { streamId = '' } = await tab.until(({ type }) => type === 'streaming_start');
    expect(available).toEqual({
      type: 'stream_available',
      ...{ streamId, conversationId: 'k', agent: 'bee', question: endless.content },
    });
    const late = await connect(c, 'late', 'ann');
    await late.until(({ type }) => type === 'stream_available');
    late.send({ type: 'resume', streamId });
    await late.until(({ type }) => type === 'streaming_token');
    await cancel(late, streamId);
    await tab.until(({ type }) => type === 'cancelled');
    await Promise.all([tab, phone, late, other].map(upToDate));
    expect([tab, phone, late, other].map(toldOf)).toEqual([[], [streamId], [streamId], []]);
    expect(textOf(late.frames)).toBe(textOf(tab.frames));
  });

  it('is told although the message that it has begun is lost', async () => {
    let lost = 0;
    const proxy = await proxyOf(
      server,
      dropMessages((text) => text.includes('clients:begun') && ++lost > 0),
    );
    const [a, b] = [await startNode(server.url), await startNode(`redis://127.0.0.1:${proxy.port}`)];
    await together(a, b);
    const [tab, phone] = [await connect(a, 'tab', 'ann'), await connect(b, 'phone', 'ann')];
    tab.send(endless);
    const { streamId = '' } = await phone.until(({ type }) => type === 'stream_available');
    expect(lost).toBeGreaterThan(0);
    await cancel(phone, streamId);
    await Promise.all([tab, phone].map(upToDate));
    expect([tab, phone].map(toldOf)).toEqual([[], [streamId]]);
  });

  it('is told to those who connect while their node is cut off, when it is back', async () => {
    const proxy = await proxyOf(server);
    const [a, b] = [await startNode(server.url), await startNode(`redis://127.0.0.1:${proxy.port}`)];
    await together(a, b);
    const tab = await connect(a, 'tab', 'ann');
    tab.send(endless);
    const { streamId = '' } = await tab.until(({ type }) => type === 'streaming_token');
    proxy.cut();
    await eventually(() => expect(b.kernel.get(Cluster).stats.up).toBe(false));
    const phone = await connect(b, 'phone', 'ann');
    await upToDate(phone);
    expect(toldOf(phone)).toEqual([]);
    proxy.mend();
    await phone.until(({ type }) => type === 'stream_available');
    await cancel(tab, streamId);
    await upToDate(phone);
    expect(toldOf(phone)).toEqual([streamId]);
  });
});

describe('servers in processes of their own', () => {
  it('have one connection of a client, and tell its user’s others of a reply', async () => {
    const config = { url: server.url };
    const plugins = { 'cluster-redis': { config }, 'streams-memory': { use: 'streams-redis', config } };
    const start = () => startServer({ config: { plugins } });
    const [a, b] = [await start(), await start()];
    later(() => Promise.all([a.stop(), b.stop()]));
    const older = await connect(a, 'tab', 'ann');
    await claimed(1);
    const tab = await connect(b, 'tab', 'ann');
    expect((await older.closed).code).toBe(4409);
    const phone = await connect(a, 'phone', 'ann');
    tab.send({ type: 'stream_request', content: 'I feel sad', agent: 'eliza' });
    const { streamId } = await phone.until(({ type }) => type === 'stream_available');
    phone.send({ type: 'resume', streamId });
    await Promise.all([tab, phone].map((each) => each.until(({ type }) => type === 'streaming_end')));
    expect(textOf(phone.frames)).toBe(textOf(tab.frames));
  });
});
