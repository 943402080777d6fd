import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Clients, Cluster } from '#kernel';
import { dropMessages } from '../support/drop-messages.js';
import { eventually } from '../support/eventually.js';
import type { Hive } from '../support/hive.js';
import { rejection } from '../support/kernel.js';
import type { RedisServer } from '../support/redis-server.js';
import { startServer } from '../support/server.js';
import { call } from '../support/transport.js';
import { type Frame, WsClient } from '../support/ws-client.js';
import { startNodeHive } from './hives.js';
import { later, proxyOf, redisForEach } from './node.js';

let server: RedisServer;
redisForEach((each) => {
  server = each;
});

const clientsOf = ({ kernel }: Hive) => kernel.get(Clients);
const clusterOf = ({ kernel }: Hive) => kernel.get(Cluster);

/** A connection that asks for what came after a number, or for the newest number. */
async function connect({ ws }: Pick<Hive, 'ws'>, userId: string, after?: number): Promise<WsClient> {
  const client = await WsClient.connect(`${ws}/c${Math.random()}?user_id=${userId}`);
  later(() => client.close());
  client.send({ type: 'inbox', ...(after !== undefined && { after }) });
  if (after === undefined) await client.until(({ type }) => type === 'inbox');
  return client;
}

/** Resolves when all that was sent to it before has arrived. */
async function upToDate(client: WsClient): Promise<void> {
  const from = client.frames.length;
  client.send({ type: 'ping' });
  await client.until((frame) => frame.type === 'pong' && client.frames.indexOf(frame) >= from);
}

/** Resolves when a node has heard of all that were sent before, or knows that it has not. */
const reached = (hive: Hive, seq: number) =>
  eventually(() => expect(clusterOf(hive).reached).toBeGreaterThanOrEqual(seq));

const isNews = ({ type }: Frame) => /^(notification|inbox_gap)$/.test(type);
const dataOf = ({ frames }: WsClient) =>
  frames.filter(isNews).map(({ type, data }) => (type === 'inbox_gap' ? type : data));

describe('a notification', () => {
  it('reaches the connections on all nodes, in one order, also of one that comes from another node', async () => {
    const [a, b] = [await startNodeHive(server.url), await startNodeHive(server.url)];
    const [here, there, other] = [await connect(a, 'ann'), await connect(b, 'ann'), await connect(b, 'bob')];
    const first = await clientsOf(a).send('ann', 't', 1);
    await clientsOf(b).broadcast('t', 2);
    const last = await clientsOf(a).send('ann', 't', 3);
    const back = await connect(b, 'ann', first);
    for (const client of [here, there, back]) await client.until(({ data }) => data === 3);
    await other.until(({ data }) => data === 2);
    expect([here, there, back, other].map(dataOf)).toEqual([[1, 2, 3], [1, 2, 3], [2, 3], [2]]);
    expect(here.frames.find(({ data }) => data === 3)).toMatchObject({ seq: last });
  });

  it('is there once and in order, or in a gap, whatever is lost and wherever its client goes', async () => {
    let messages = 0;
    const losing = await proxyOf(
      server,
      dropMessages((text) => text.includes('clients:notification') && ++messages % 5 === 0),
    );
    const hives = [
      await startNodeHive(server.url),
      await startNodeHive(`redis://127.0.0.1:${losing.port}`),
      await startNodeHive(server.url),
    ];
    const at = fc.constantFrom(0, 1, 2);
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom('mine', 'mine', 'all', 'theirs', 'burst'), at }),
      fc.record({ kind: fc.constantFrom('go', 'go', 'leave', 'read', 'cut'), at }),
    );
    let gaps = 0;
    const run = async (steps: readonly { readonly kind: string; readonly at: number }[]) => {
      const userId = `u${Math.random()}`;
      const sent: number[] = [];
      /** Data of those that may have been sent, as the link broke meanwhile. */
      const unsure = new Set<unknown>();
      let count = 0;
      const send = async (hive: Hive, to: string | undefined) => {
        const data = ++count;
        const clients = clientsOf(hive);
        try {
          const seq = await (to === undefined ? clients.broadcast('t', data) : clients.send(to, 't', data));
          if (to !== 'nobody') sent.push(seq);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
          unsure.add(data);
        }
      };
      const got: Frame[] = [];
      let after = await clientsOf(hives[0] as Hive).send('nobody', 't');
      let client: WsClient | undefined;
      const leave = async () => {
        const leaving = client;
        client = undefined;
        await leaving?.close();
        const heard = leaving?.frames.filter(isNews) ?? [];
        got.push(...heard);
        after = Math.max(after, ...heard.map(({ seq, to }) => Number(seq ?? to)));
      };
      const go = async (hive: Hive) => {
        await leave();
        client = await connect(hive, userId, after);
      };
      for (const { kind, at } of steps) {
        const hive = hives[at] as Hive;
        if (kind === 'mine') await send(hive, userId);
        else if (kind === 'all') await send(hive, undefined);
        else if (kind === 'theirs') await send(hive, 'nobody');
        else if (kind === 'burst') await Promise.all(hives.map((each) => send(each, userId)));
        else if (kind === 'go') await go(hive);
        else if (kind === 'leave') await leave();
        else if (kind === 'read' && client) await upToDate(client);
        else if (kind === 'cut') losing.drop();
      }
      const place = hives[steps.length % 3] as Hive;
      if (!client) await go(place);
      const last = Math.max(after, ...sent);
      for (const hive of hives) await reached(hive, last);
      // The connection may be behind its node by what it has asked for.
      await upToDate(client as unknown as WsClient);
      await leave();
      const all = got.flatMap(({ seq }) => (seq as number | undefined) ?? []);
      expect(all).toEqual([...new Set(all)].sort((one, other) => one - other));
      const numbers = got.flatMap(({ seq, data }) => (unsure.has(data) ? [] : ((seq as number) ?? [])));
      const isLost = (seq: number) => got.some(({ from, to }) => Number(from) <= seq && seq <= Number(to));
      gaps += sent.filter(isLost).length;
      const due = [...sent].sort((one, other) => one - other);
      expect(numbers).toEqual(due.filter((seq) => !isLost(seq)));
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), run), {
      numRuns: 12,
      endOnFailure: true,
    });
    expect(gaps).toBeGreaterThan(0);
  });

  it('is refused while Redis is away, and reaches everybody after its return; numbers go on', async () => {
    const [a, b] = [await startNodeHive(server.url), await startNodeHive(server.url)];
    const [here, there] = [await connect(a, 'ann'), await connect(b, 'ann')];
    const first = await clientsOf(a).send('ann', 't', 1);
    for (const client of [here, there]) await client.until(({ data }) => data === 1);
    await server.signal('SIGKILL');
    await eventually(() => expect(clusterOf(a).stats.up).toBe(false));
    const refused = await rejection(Promise.resolve(clientsOf(a).send('ann', 't', 2)));
    expect(refused).toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    await server.run();
    await server.command('FLUSHALL');
    for (const hive of [a, b]) await eventually(() => expect(clusterOf(hive).stats.up).toBe(true));
    const last = await clientsOf(b).send('ann', 't', 3);
    for (const client of [here, there]) await client.until(({ data }) => data === 3);
    expect(last).toBeGreaterThan(first);
    const back = await connect(a, 'ann', first);
    await back.until(({ data }) => data === 3);
    // Nothing is known of numbers that Redis has lost: they may have been given.
    for (const client of [here, there, back])
      expect(dataOf(client).filter((each) => each !== 'inbox_gap')).toEqual(client === back ? [3] : [1, 3]);
  });

  it('of operators of one process reaches the connections to another one', async () => {
    const config = { url: server.url };
    const plugins = { 'cluster-redis': { config }, 'streams-memory': { use: 'streams-redis', config } };
    const start = () => startServer({ config: { plugins } });
    const [a, b] = [await start(), await start()];
    later(() => Promise.all([a.stop(), b.stop()]));
    const ann = await connect(a, 'ann');
    const answer = await call(b.port, {
      ...{
        method: 'POST',
        path: '/users/ann/notifications',
        headers: { 'content-type': 'application/json' },
      },
      body: JSON.stringify({ topic: 'hi', data: 1 }),
    });
    const { seq } = JSON.parse(answer.text) as { readonly seq: number };
    expect(await ann.until(({ type }) => type === 'notification')).toMatchObject({ seq, data: 1 });
    const back = await connect(b, 'ann', seq - 1);
    await back.until(({ data }) => data === 1);
  });
});
