import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChatMessage, ConversationStore } from '#kernel';
import { config as memoryConfig } from '../../plugins/store-memory/config.js';
import { MemoryStore } from '../../plugins/store-memory/memory-store.js';
import { config } from '../../plugins/store-redis/config.js';
import storeRedis from '../../plugins/store-redis/index.js';
import { RedisStore } from '../../plugins/store-redis/redis-store.js';
import { conversationStoreContract } from '../contracts/conversation-store.contract.js';
import { eventually } from '../support/eventually.js';
import { startHive } from '../support/hive.js';
import { rejection, silentLogger } from '../support/kernel.js';
import { example, pageText } from '../support/pages.js';
import { RedisServer } from '../support/redis-server.js';
import { startServer } from '../support/server.js';
import { endAll, later } from './node.js';

let server: RedisServer;
let prefixes = 0;
const newPrefix = () => `s${prefixes++}`;

beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(async () => {
  await endAll();
  await server.stop();
});

async function open(limits: object = {}, prefix = newPrefix()): Promise<RedisStore> {
  const settings = config.parse({ url: server.url, prefix, ...limits });
  const store = new RedisStore(settings, silentLogger);
  await store.start();
  later(() => store.close());
  return store;
}

const key = (conversationId: string, userId = 'ann') => ({ userId, conversationId });
const turn = (content: string): readonly ChatMessage[] => [
  { role: 'user', content },
  { role: 'assistant', content: `${content}!` },
];

conversationStoreContract('store-redis', (limits) => open(limits));

/** The books of an installation: what they say, and what there is. */
async function books(prefix: string) {
  const keys = await server.command<string[]>('KEYS', `*{${prefix}:u:*}:c:*`);
  const chars = await Promise.all(
    keys.map(async (each) => Number(await server.command('HGET', each, 'chars'))),
  );
  const sizes = Object.values(await server.command<Record<string, string>>('HGETALL', `{${prefix}:u}:sizes`));
  const sum = (list: readonly (string | number)[]) =>
    list.reduce((total: number, each) => total + Number(each), 0);
  return {
    conversations: keys.length,
    chars: sum(chars),
    inUse: await server.command('ZCARD', `{${prefix}:u}:uses`),
    sizes: [sizes.length, sum(sizes)],
    total: Number((await server.command('GET', `{${prefix}:u}:total`)) ?? 0),
  };
}

describe('a store of several servers', () => {
  it('shows each what another has stored, and keeps turns whole, in one order for all', async () => {
    const prefix = newPrefix();
    const stores = [await open({}, prefix), await open({}, prefix), await open({}, prefix)];
    const words = Array.from({ length: 300 }, (_, index) => `turn ${index}`);
    await Promise.all(words.map((word, index) => stores[index % 3]?.append(key('c'), turn(word))));
    const read = await Promise.all(stores.map((store) => store.read(key('c'))));
    expect(read[1]).toEqual(read[0]);
    expect(read[2]).toEqual(read[0]);
    const messages = read[0] ?? [];
    expect(messages).toHaveLength(600);
    for (let at = 0; at < messages.length; at += 2)
      expect(messages.slice(at, at + 2)).toEqual(turn(messages[at]?.content ?? ''));
    await Promise.all(words.map((word, index) => stores[index % 3]?.append(key(word), turn(word))));
    const list = (await stores[0]?.list('ann', { limit: 1000 })) ?? [];
    expect(new Set(list.map(({ updatedAt }) => updatedAt)).size).toBe(301);
    expect(await books(prefix)).toMatchObject({ conversations: 301, inUse: 301 });
  });

  it('takes any number for a limit or a place', async () => {
    const store = await open();
    await store.append(key('c'), turn('one'));
    const no = Number.POSITIVE_INFINITY;
    expect(await store.read(key('c'), no)).toHaveLength(2);
    expect(await store.page(key('c'), { limit: no, before: no })).toHaveLength(2);
    expect(await store.page(key('c'), { limit: 1.5, before: 1.5 })).toHaveLength(1);
    expect(await store.list('ann', { limit: no, before: no })).toHaveLength(1);
    expect((await store.search('ann', { text: 'one', limit: no, before: no })).hits).toHaveLength(2);
  });

  it('adds the turn of a reply once', async () => {
    const prefix = newPrefix();
    const [a, b] = [await open({}, prefix), await open({}, prefix)];
    await Promise.all([a, b, a, b].map((store) => store.append(key('c'), turn('one'), 'reply-1')));
    await a.append(key('c'), turn('one'), 'reply-2');
    expect(await b.read(key('c'))).toEqual([...turn('one'), ...turn('one')]);
    await a.append(key('d'), turn('one'), 'reply-1');
    expect(await b.read(key('d'))).toEqual(turn('one'));
  });

  it('is set up as its page says', async () => {
    const running = await startServer({
      config: example('remember-together.yaml'),
      env: { REDIS_URL: server.url },
    });
    expect(running.logs.map(({ msg }) => msg)).toContain('conversations are kept in Redis');
    await running.stop();
  });

  it('remembers for the next question what another server has answered', async () => {
    const prefix = newPrefix();
    const settings = { store: { url: server.url, prefix } };
    const [a, b] = [
      await startHive({ store: storeRedis, config: settings }),
      await startHive({ store: storeRedis, config: settings }),
    ];
    later(() => Promise.all([a.close(), b.close()]));
    for (const { url } of [a, b, a, b]) {
      const body = JSON.stringify({ content: 'Hello', user_id: 'ann', conversation_id: 'c' });
      const headers = { 'content-type': 'application/json' };
      expect((await fetch(`${url}/chat`, { method: 'POST', headers, body })).status).toBe(200);
    }
    expect(await (await open({}, prefix)).read(key('c'))).toHaveLength(8);
    expect((await fetch(`${b.url}/ready`)).status).toBe(200);
  });
});

describe('bounds', () => {
  it('are those of store-memory, over any operations, and the books are right', async () => {
    const limits = { maxMessages: 5, maxConversations: 3, conversationLimitChars: 40, totalLimitChars: 90 };
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const operation = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('append'),
          id,
          roles: fc.stringMatching(/^[uat]{1,4}$/),
          size: fc.integer({ min: 1, max: 20 }),
        }),
      },
      fc.record({ do: fc.constant('read'), id }),
      fc.record({ do: fc.constant('retract'), id }),
      fc.record({ do: fc.constant('delete'), id }),
      fc.record({ do: fc.constant('rename'), id }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        const prefix = newPrefix();
        const subject = await open(limits, prefix);
        const model = new MemoryStore(memoryConfig.parse(limits));
        const both = [subject, model] as const;
        const turns = new Map<string, readonly ChatMessage[]>();
        const same = async <T>(look: (store: ConversationStore) => Promise<T>) => {
          const [seen, wanted] = await Promise.all(both.map(look));
          expect(seen).toEqual(wanted);
        };
        for (const [at, each] of operations.entries()) {
          const where = key(each.id);
          if (each.do === 'append' && 'roles' in each) {
            const messages = [...each.roles].map((role) => ({
              role:
                role === 'u' ? ('user' as const) : role === 'a' ? ('assistant' as const) : ('tool' as const),
              content: `${at}`.padEnd(each.size, '.'),
            }));
            turns.set(each.id, messages);
            for (const store of both) await store.append(where, messages);
          } else if (each.do === 'retract')
            for (const store of both) await store.retract(where, turns.get(each.id) ?? []);
          else if (each.do === 'read') await same((store) => store.read(where));
          else if (each.do === 'delete') await same((store) => store.delete(where));
          else await same(async (store) => store.rename?.(where, `name ${at}`));
          if (each.do === 'retract' || each.do === 'delete') turns.delete(each.id);
        }
        await same(async (store) =>
          (await store.list('ann', { limit: 9 })).map(({ updatedAt: _, ...rest }) => rest),
        );
        await same(async (store) =>
          (await store.search?.('ann', { text: '1', limit: 3 }))?.hits.map(({ excerpt }) => excerpt),
        );
        for (const each of ['a', 'b', 'c', 'd', 'e']) await same((store) => store.read(key(each)));
        const { conversations, chars, inUse, sizes, total } = await books(prefix);
        expect({ inUse, sizes, total }).toEqual({
          inUse: conversations,
          sizes: [conversations, chars],
          total: chars,
        });
        await subject.close();
      }),
      {
        numRuns: 60,
        // A turn that is taken back is no use of its conversation.
        examples: [
          [
            [
              ...(['a', 'a', 'e', 'd'] as const).map((id) => ({
                do: 'append' as const,
                id,
                roles: 'u',
                size: 1,
              })),
              { do: 'retract' as const, id: 'a' as const },
              { do: 'append' as const, id: 'c' as const, roles: 'u', size: 1 },
            ],
          ],
        ],
      },
    );
  });

  it('leave of a long import what a conversation may hold', async () => {
    const limits = { maxMessages: 5 };
    const messages = Array.from({ length: 1000 }, (_, index) => turn(`${index}`)).flat();
    const stores = [await open(limits), new MemoryStore(memoryConfig.parse(limits))];
    for (const store of stores) await store.append(key('c'), messages);
    const [seen, wanted] = await Promise.all(stores.map((store) => store.read(key('c'))));
    expect(seen).toEqual(wanted);
    expect(seen).toHaveLength(4);
    expect(await stores[0]?.list('ann', { limit: 1 })).toMatchObject([{ title: '0', messages: 4 }]);
  });

  it('hold over all users', async () => {
    const prefix = newPrefix();
    const store = await open({ maxConversations: 5 }, prefix);
    for (let user = 0; user < 20; user++) await store.append(key('c', `user-${user}`), turn('x'));
    expect(await store.read(key('c', 'user-14'))).toEqual([]);
    expect(await store.read(key('c', 'user-15'))).toEqual(turn('x'));
    expect(await books(prefix)).toMatchObject({ conversations: 5, inUse: 5, sizes: [5, 15], total: 15 });
  });

  it('forget what was not used for its time to live, and leave no key behind', async () => {
    const prefix = newPrefix();
    const timeToLiveMs = 3_600_000;
    const store = await open({ timeToLiveMs }, prefix);
    const left = async (kind: 'c' | 'x') =>
      Promise.all(
        (await server.command<string[]>('KEYS', `*{${prefix}:u:*}:${kind}:*`)).map((each) =>
          server.command<number>('PTTL', each),
        ),
      );
    const expireSoon = async (ms: number) => {
      for (const each of await server.command<string[]>('KEYS', `*{${prefix}:u:*}:[cx]:*`))
        await server.command('PEXPIRE', each, String(ms));
    };
    await store.append(key('old'), turn('old'));
    for (const ms of [...(await left('c')), ...(await left('x'))])
      expect(ms).toBeGreaterThan(timeToLiveMs / 2);
    // Each use begins the time again.
    for (const use of [() => store.read(key('old')), () => store.rename(key('old'), 'Old')]) {
      await expireSoon(60_000);
      await use();
      for (const ms of [...(await left('c')), ...(await left('x'))]) expect(ms).toBeGreaterThan(60_000);
    }
    // Both have the same time: they expire together.
    await server.command('DEL', ...(await server.command<string[]>('KEYS', `*{${prefix}:u:*}:[cx]:*`)));
    expect(await store.read(key('old'))).toEqual([]);
    await store.append(key('used'), turn('used'));
    expect(await store.list('ann', { limit: 9 })).toMatchObject([{ conversationId: 'used' }]);
    expect((await store.search('ann', { text: 'old', limit: 9 })).hits).toEqual([]);
    const [oldest = ''] = await server.command<string[]>('ZRANGE', `{${prefix}:u}:uses`, '0', '0');
    await server.command('ZADD', `{${prefix}:u}:uses`, '1', oldest);
    await store.append(key('new'), turn('new'));
    expect(await books(prefix)).toEqual({ conversations: 2, chars: 16, inUse: 2, sizes: [2, 16], total: 16 });
  });

  it('refuse more than may be on its way', async () => {
    const store = await open({ totalLimitChars: 500_000_000 });
    const large = [{ role: 'user' as const, content: 'x'.repeat(7_000_000) }];
    const appended = Array.from({ length: 5 }, (_, index) =>
      store.append(key(`c${index}`), large).then(
        () => 'stored',
        ({ code }) => code,
      ),
    );
    const results = await Promise.all(appended);
    expect(results.filter((each) => each === 'stored')).toHaveLength(2);
    expect(results.filter((each) => each === 'QUEUE_FULL')).toHaveLength(3);
    await store.append(key('c'), large);
  });
});

describe('a server that fails', () => {
  it('costs no turn that was stored, and no half of one', async () => {
    const prefix = newPrefix();
    const store = await open({ maxMessages: 100_000 }, prefix);
    const stored: string[] = [];
    for (let round = 0; round < 3; round++) {
      // Otherwise a disk that is busy may cost the last second.
      await server.command('CONFIG', 'SET', 'appendfsync', 'always');
      let isOver = false;
      const writers = [0, 1, 2, 3].map(async (writer) => {
        for (let at = 0; !isOver; at++) {
          const word = `${round} ${writer} ${at}`;
          await store.append(key('c'), turn(word)).then(
            () => stored.push(word),
            (error) => expect(error.code).toBe('ENGINE_UNAVAILABLE'),
          );
          await sleep(1);
        }
      });
      await sleep(100);
      await server.signal('SIGKILL');
      await eventually(async () =>
        expect(await rejection(store.read(key('c')))).toMatchObject({ code: 'ENGINE_UNAVAILABLE' }),
      );
      isOver = true;
      await Promise.all(writers);
      await server.run();
      await eventually(() => store.read(key('c')));
    }
    const messages = await store.read(key('c'));
    for (let at = 0; at < messages.length; at += 2)
      expect(messages.slice(at, at + 2)).toEqual(turn(messages[at]?.content ?? ''));
    const contents = new Set(messages.map(({ content }) => content));
    expect(stored.filter((word) => !contents.has(word))).toEqual([]);
    expect(stored.length).toBeGreaterThan(10);
    expect(store.trouble).toBeUndefined();
  });

  it('has questions refused that need what is stored, and is over when it is', async () => {
    const hive = await startHive({
      store: storeRedis,
      config: { store: { url: server.url, prefix: newPrefix() } },
    });
    later(() => hive.close());
    const ask = async () => {
      const body = JSON.stringify({ content: 'Hello', user_id: 'ann', conversation_id: 'c' });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${hive.url}/chat`, { method: 'POST', headers, body });
      const { error } = (await answer.json()) as { readonly error?: { readonly code: string } };
      return [answer.status, error?.code, answer.headers.get('retry-after')];
    };
    expect(await ask()).toEqual([200, undefined, null]);
    await server.signal('SIGKILL');
    await eventually(async () => expect(await ask()).toEqual([503, 'ENGINE_UNAVAILABLE', '1']));
    await eventually(async () => {
      const answer = await fetch(`${hive.url}/ready`);
      expect([answer.status, await answer.text()]).toEqual([
        503,
        expect.stringContaining('conversations are not kept: the engine that keeps them is away'),
      ]);
    });
    await server.run();
    await eventually(async () => expect((await fetch(`${hive.url}/ready`)).status).toBe(200));
    expect(await ask()).toEqual([200, undefined, null]);
  });

  it('without memory refuses new turns, and shows those that there are', async () => {
    const prefix = newPrefix();
    const store = await open({}, prefix);
    await store.append(key('c'), turn('one'));
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await rejection(store.append(key('c'), turn('two')))).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('no memory left'),
    });
    // Also over a connection that is new, where the server has forgotten the scripts.
    await server.command('SCRIPT', 'FLUSH');
    const other = await open({}, prefix);
    expect(await other.read(key('c'))).toEqual(turn('one'));
    expect(await store.read(key('c'))).toEqual(turn('one'));
    expect(await store.list('ann', { limit: 9 })).toHaveLength(1);
    expect(await store.delete(key('c'))).toBe(true);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await store.append(key('c'), turn('three'));
    expect(await store.read(key('c'))).toEqual(turn('three'));
  });

  it('may forget its scripts', async () => {
    const store = await open();
    await server.command('SCRIPT', 'FLUSH');
    await store.append(key('c'), turn('one'));
    expect(await store.read(key('c'))).toEqual(turn('one'));
  });
});

describe('keys', () => {
  it('hold no ids, and are those of the rule for users of Redis', async () => {
    const [rule = ''] = /^ACL SETUSER .*$/m.exec(pageText('plugins/cluster-redis/README.md')) ?? [];
    await server.command(...rule.split(' '));
    const store = await open({ username: 'waggle', password: 'secret' }, 'w');
    await store.append(key('secret-id', 'secret-user'), turn('one'));
    await store.retract(key('secret-id', 'secret-user'), turn('x'));
    await store.rename(key('secret-id', 'secret-user'), 'Name');
    await store.page(key('secret-id', 'secret-user'), { limit: 1 });
    expect((await store.search('secret-user', { text: 'one', limit: 9 })).hits).toHaveLength(2);
    expect(JSON.stringify(await server.command('KEYS', '*'))).not.toMatch(/secret-(id|user)/);
    await store.delete(key('secret-id', 'secret-user'));
  });
});
