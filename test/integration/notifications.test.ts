import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Clients, type KernelEvents } from '#kernel';
import { accessPlugin, as } from '../support/access.js';
import { eventually } from '../support/eventually.js';
import { type Hive, startHive } from '../support/hive.js';
import { example, pageText } from '../support/pages.js';
import { startServer } from '../support/server.js';
import { call } from '../support/transport.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

import { type Frame, textOf, WsClient } from '../support/ws-client.js';

const notes = (client: WsClient) => client.frames.filter(({ type }) => type === 'notification');
const dataOf = (client: WsClient) => notes(client).map(({ data }) => data);
/** Posts JSON. */
async function post(
  hive: Pick<Hive, 'url'>,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
) {
  const answer = await call(Number(new URL(hive.url).port), {
    ...{ method: 'POST', path, headers: { 'content-type': 'application/json', ...headers } },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: JSON.parse(answer.text) };
}
/** Resolves when all that was sent to it before has arrived. */
const upToDate = async (client: WsClient) => {
  const from = client.frames.length;
  client.send({ type: 'ping' });
  await client.until((frame) => frame.type === 'pong' && client.frames.indexOf(frame) >= from);
};

/** One server gives the numbers at once. */
interface LocalClients extends Clients {
  send(userId: string, topic: string, data?: unknown): number;
  broadcast(topic: string, data?: unknown): number;
}

describe.each(['uws', 'node'] as const)('over transport-%s', (transport) => {
  let hive: Hive;
  let clients: LocalClients;
  const connect = async (clientId: string, userId?: string) => {
    const query = userId === undefined ? '' : `?user_id=${userId}`;
    const client = await WsClient.connect(`${hive.ws}/${clientId}${query}`);
    await upToDate(client);
    return client;
  };
  const leave = async (...all: readonly WsClient[]) => {
    await Promise.all(all.map((client) => client.close()));
    await eventually(() => expect(clients.count).toBe(0));
  };

  beforeAll(async () => {
    hive = await startHive({ transport, config: { 'endpoint-ws': { inbox: { maxNotifications: 5 } } } });
    clients = hive.kernel.get(Clients) as LocalClients;
  });
  afterAll(() => hive.stop());

  describe('a notification', () => {
    it('reaches all connections of its user, and no other user', async () => {
      const [tab, phone, other] = [
        await connect('tab', 'ann'),
        await connect('phone', 'ann'),
        await connect('bob'),
      ];
      const seq = clients.send('ann', 'build', { ok: true });
      for (const client of [tab, phone, other]) await upToDate(client);
      const expected = [{ type: 'notification', seq, topic: 'build', data: { ok: true } }];
      expect([notes(tab), notes(phone), notes(other)]).toEqual([expected, expected, []]);
      await leave(tab, phone, other);
    });

    it('to all reaches everybody, in the order of all that is sent', async () => {
      const [ann, bob] = [await connect('ann'), await connect('bob')];
      clients.broadcast('news', 1);
      clients.send('ann', 'build', 2);
      clients.broadcast('news', 3);
      ann.send({ type: 'ping' });
      clients.broadcast('news', 4);
      clients.send('bob', 'build', 5);
      for (const client of [ann, bob]) await upToDate(client);
      expect([dataOf(ann), dataOf(bob)]).toEqual([
        [1, 2, 3, 4],
        [1, 3, 4, 5],
      ]);
      await leave(ann, bob);
    });

    it('of operators is sent over HTTP', async () => {
      const ann = await connect('ann');
      const one = await post(hive, '/users/ann/notifications', { topic: 'hi', data: 1 });
      const all = await post(hive, '/notifications', { topic: 'hi' });
      const away = await post(hive, '/users/%C3%A4/notifications', { topic: 'hi' });
      expect([one.status, all.status, away.status]).toEqual([202, 202, 202]);
      expect([one, all, away].map(({ body }) => body.online)).toEqual([true, true, false]);
      await upToDate(ann);
      expect(notes(ann).map(({ seq }) => seq)).toEqual([one.body.seq, all.body.seq]);
      expect((await post(hive, '/notifications', { topic: '' })).body.error.code).toBe('INVALID_REQUEST');
      await leave(ann);
    });

    it('that was missed is in the inbox, once and in order', async () => {
      const ann = await connect('ann');
      const last = clients.send('ann', 't', 1);
      await upToDate(ann);
      await leave(ann);
      clients.send('ann', 't', 2);
      clients.broadcast('t', 3);
      const back = await WsClient.connect(`${hive.ws}/ann`);
      // Before the client can say what it has.
      clients.send('ann', 't', 4);
      clients.broadcast('t', 5);
      back.send({ type: 'inbox', after: last });
      await upToDate(back);
      clients.send('ann', 't', 6);
      await upToDate(back);
      expect(dataOf(back)).toEqual([2, 3, 4, 5, 6]);
      await leave(back);
    });

    it.each([undefined, null, '', 5])(
      'to the user %s, who is none, is refused and kept for nobody',
      async (userId) => {
        expect(() => clients.send(userId as string, 't', 'secret')).toThrow('userId: expected a user');
        const ann = await connect('ann');
        ann.send({ type: 'inbox', after: 0 });
        await upToDate(ann);
        expect(dataOf(ann)).not.toContain('secret');
        await leave(ann);
      },
    );

    it('that is no longer kept is a gap with its number', async () => {
      const ann = await connect('ann');
      const [first] = [1, 2, 3, 4, 5, 6, 7].map((data) => clients.send('ann', 't', data)) as [number];
      await upToDate(ann);
      ann.send({ type: 'inbox', after: first });
      await upToDate(ann);
      const [gap, ...rest] = ann.frames.slice(ann.frames.findIndex(({ type }) => type === 'inbox_gap'));
      expect(gap).toEqual({ type: 'inbox_gap', from: first + 1, to: first + 1 });
      expect(rest.flatMap(({ data }) => data ?? [])).toEqual([3, 4, 5, 6, 7]);
      await leave(ann);
    });

    it('is not what a client gets that only asks for the newest number', async () => {
      const seq = clients.send('ann', 't', 1);
      const ann = await WsClient.connect(`${hive.ws}/ann`);
      ann.send({ type: 'inbox' });
      await upToDate(ann);
      expect(ann.frames[0]).toEqual({ type: 'inbox', seq });
      expect(notes(ann)).toEqual([]);
      await leave(ann);
    });

    it('reaches a client, too, whose number is of a server with another clock', async () => {
      const ahead = clients.send('ann', 't', 1) + 1_000_000_000;
      const ann = await WsClient.connect(`${hive.ws}/ann`);
      ann.send({ type: 'inbox', after: ahead });
      const { seq } = await ann.until(({ type }) => type === 'inbox');
      expect(seq).toBeLessThan(ahead);
      expect(clients.send('ann', 't', 2)).toBe((seq as number) + 1);
      await upToDate(ann);
      expect(dataOf(ann)).toEqual([2]);
      await leave(ann);
    });

    it('reaches those who never say anything', async () => {
      const silent = await WsClient.connect(`${hive.ws}/silent`);
      await eventually(() => expect(clients.online('silent')).toBe(true));
      clients.send('silent', 't', 1);
      clients.broadcast('t', 2);
      await silent.until(({ data }) => data === 2);
      expect(dataOf(silent)).toEqual([1, 2]);
      await leave(silent);
    });

    it('is there once and in order, or in a gap, whatever happens in which order', async () => {
      const step = fc.constantFrom('mine', 'all', 'theirs', 'connect', 'disconnect', 'again', 'read');
      const run = async (steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]) => {
        const userId = `u${Math.random()}`;
        const sent: number[] = [];
        const got: Frame[] = [];
        const start = clients.send('nobody', 't');
        let after = start;
        let client: WsClient | undefined;
        const connectNow = async () => {
          client = await WsClient.connect(`${hive.ws}/c${Math.random()}?user_id=${userId}`);
          client.send({ type: 'inbox', after });
        };
        const disconnect = async (isCareful: boolean) => {
          if (!client) return;
          if (isCareful) await upToDate(client);
          const leaving = client;
          client = undefined;
          await leaving.close();
          const heard = leaving.frames.filter(({ type }) => /^(notification|inbox_gap)$/.test(type));
          got.push(...heard);
          after = Math.max(after, ...heard.map(({ seq, to }) => Number(seq ?? to)));
        };
        for (const each of steps) {
          if (each === 'mine') sent.push(clients.send(userId, 't', 'x'));
          else if (each === 'all') sent.push(clients.broadcast('t', 'x'));
          else if (each === 'theirs') clients.send('nobody', 't', 'x');
          else if (each === 'connect' && !client) await connectNow();
          else if (each === 'disconnect') await disconnect(false);
          else if (each === 'again') {
            await disconnect(false);
            await connectNow();
          } else if (each === 'read' && client) await upToDate(client);
        }
        if (!client) await connectNow();
        await disconnect(true);
        const numbers = got.flatMap(({ seq }) => (seq as number | undefined) ?? []);
        const isLost = (seq: number) => got.some(({ from, to }) => Number(from) <= seq && seq <= Number(to));
        expect(numbers).toEqual(sent.filter((seq) => !isLost(seq)));
      };
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), run), { numRuns: 40 });
      await eventually(() => expect(clients.count).toBe(0));
    });
  });

  it('tells of users who come and go', async () => {
    const seen: string[] = [];
    const on = (type: keyof KernelEvents & `client:${string}`) =>
      hive.kernel.bus.on(type, ({ userId }) => void seen.push(`${type} ${userId}`));
    const undo = [on('client:online'), on('client:offline')];
    const one = await connect('one', 'ann');
    const two = await connect('two', 'ann');
    expect([clients.count, clients.online('ann'), clients.online('one')]).toEqual([2, true, false]);
    await one.close();
    await eventually(() => expect(clients.count).toBe(1));
    await leave(two);
    expect(seen).toEqual(['client:online ann', 'client:offline ann']);
    for (const each of undo) await each();
  });

  describe('several connections of a user', () => {
    const ask = { type: 'stream_request', content: 'I feel sad', agent: 'eliza', conversationId: 'k' };

    it('hear of each other’s replies, and read the same', async () => {
      const [tab, phone, other] = [
        await connect('tab', 'ann'),
        await connect('phone', 'ann'),
        await connect('bob'),
      ];
      tab.send(ask);
      const available = await phone.until(({ type }) => type === 'stream_available');
      const { streamId } = available;
      expect(available).toEqual({
        type: 'stream_available',
        ...{ streamId, conversationId: 'k', agent: 'eliza', question: 'I feel sad' },
      });
      phone.send({ type: 'resume', streamId });
      await Promise.all([tab.end(), phone.until(({ type }) => type === 'streaming_end')]);
      await upToDate(other);
      expect(textOf(phone.frames)).toBe(textOf(tab.frames));
      expect(tab.frames.some(({ type }) => type === 'stream_available')).toBe(false);
      expect(other.frames.some(({ type }) => type === 'stream_available')).toBe(false);
      await leave(tab, phone, other);
    });

    it('hear of replies over HTTP, and of those that run when they connect', async () => {
      const tab = await connect('tab', 'ann');
      const asked = post(hive, '/chat', { content: 'I feel '.repeat(200), user_id: 'ann', agent: 'eliza' });
      const { streamId } = await tab.until(({ type }) => type === 'stream_available');
      const late = await connect('late', 'ann');
      expect(late.frames[0]).toMatchObject({ type: 'stream_available', streamId });
      await asked;
      const later = await connect('later', 'ann');
      expect(later.frames.map(({ type }) => type)).toEqual(['pong']);
      await leave(tab, late, later);
    });

    it('take over only where the client is the same, of the same user', async () => {
      const [ann, bob] = [await connect('tab', 'ann'), await connect('tab', 'bob')];
      const again = await connect('tab', 'ann');
      expect((await ann.closed).code).toBe(4409);
      await upToDate(bob);
      await leave(bob, again);
    });
  });

  describe('a reply that the server starts', () => {
    it('reaches those who are there, and needs none of them', async () => {
      const tab = await connect('tab', 'ann');
      const reply = await hive.streams.start({
        ...{
          userId: 'ann',
          content: 'Good morning',
          agent: 'eliza',
          conversationId: 'daily',
          onDisconnect: 'finish',
        },
      });
      const { streamId } = await tab.until(({ type }) => type === 'stream_available');
      expect(streamId).toBe(reply.streamId);
      await leave(tab);
      expect((await reply.whole()).content).not.toBe('');
    });
  });

  it.each(['', 'x'.repeat(129)])('refuses the user %j', async (userId) => {
    const url = `${hive.ws}/me?user_id=${userId}`;
    await expect(WsClient.connect(url)).rejects.toThrow();
  });
});

it('works as the page shows it', async () => {
  const watch = { 'extensions/build-watch.js': example('extensions/build-watch.js') };
  const server = await startServer({
    files: { ...watch, 'extensions/morning.js': example('extensions/morning.js') },
    config: { extensions: './extensions', plugins: { 'agent-queen': { config: { candidates: ['eliza'] } } } },
  });
  const code = example('listening-client.mjs').replace('localhost:9797', `127.0.0.1:${server.port}`);
  const client = spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: root });
  const lines: string[] = [];
  createInterface({ input: client.stdout }).on('line', (line) => lines.push(line));
  const until = (pattern: RegExp) =>
    eventually(() => expect(lines).toContainEqual(expect.stringMatching(pattern)));
  await until(/^notified build .*green/);
  const curls = [...pageText('plugins/endpoint-ws/README.md').matchAll(/^curl (.*)$/gm)];
  expect(curls).toHaveLength(2);
  for (const [, line = ''] of curls) {
    const args = [
      ...line.replaceAll('localhost:9797', `127.0.0.1:${server.port}`).matchAll(/'([^']*)'|(\S+)/g),
    ];
    await promisify(execFile)('curl', ['-sf', ...args.map(([, quoted, plain]) => quoted ?? plain ?? '')]);
  }
  await until(/^notified build .*red/);
  await until(/^notified maintenance/);
  await post({ url: server.url }, '/tasks/morning:start', {});
  await until(/^answered \S+/);
  client.kill();
  expect(await server.stop()).toBe(0);
});

describe('with credentials', () => {
  it('a connection is that of their user, of another one only with `act-as`', async () => {
    const plugin = accessPlugin();
    const hive = await startHive({ plugins: [plugin] });
    const open = (user: string, named: string) =>
      WsClient.connect(`${hive.ws}/tab?user_id=${named}`, { headers: as(user) });
    const clients = hive.kernel.get(Clients);
    const refused = await open('ann', 'bob');
    expect((await refused.closed).code).toBe(4403);
    expect(clients.count).toBe(0);
    const [own, proxy] = [await open('ann', 'ann'), await open('proxy', 'bob')];
    await Promise.all([own, proxy].map(upToDate));
    expect(['ann', 'bob', 'proxy'].map((user) => clients.online(user))).toEqual([true, true, false]);
    const notify = async (user: string) =>
      (await post(hive, '/notifications', { topic: 't' }, as(user))).status;
    expect([await notify('ann'), await notify('root')]).toEqual([403, 202]);
    await own.close();
    await proxy.close();
    await hive.stop();
  });
});
