import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type ChatMessage, type ConversationKey, ConversationStore, definePlugin, type Reply } from '#kernel';
import { config as memoryConfig } from '../../plugins/store-memory/config.js';
import { MemoryStore } from '../../plugins/store-memory/memory-store.js';
import { config as sqliteConfig } from '../../plugins/store-sqlite/config.js';
import { SqliteStore } from '../../plugins/store-sqlite/sqlite-store.js';
import { done, ScriptedAgent, text, unstamped } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import { deferred, tempFolder } from '../support/kernel.js';
import { WsClient } from '../support/ws-client.js';

let hive: Hive | undefined;
let gate = deferred();
let appending = deferred();
afterEach(async () => {
  gate.resolve();
  await hive?.stop();
  hive = undefined;
});

const memory = async () => new MemoryStore(memoryConfig.parse({}));
const sqlite = () =>
  SqliteStore.open(sqliteConfig.parse({ path: join(tempFolder().path, 'c.sqlite') }), () => {});

/** Appends only once the gate is open. */
function slowly(store: ConversationStore): ConversationStore {
  const slow: ConversationStore = {
    read: (...args) => store.read(...args),
    delete: (...args) => store.delete(...args),
    list: (...args) => store.list(...args),
    append: async (...args) => {
      appending.resolve();
      await gate.promise;
      await store.append(...args);
    },
  };
  if (store.retract)
    slow.retract = (...args) => (store.retract as NonNullable<typeof store.retract>)(...args);
  return slow;
}

const simple = async (): Promise<ConversationStore> => {
  const { retract: _, ...rest } = slowly(await memory());
  return rest;
};

/** A server over a store that waits for the gate with what it appends, and what that store holds. */
async function startSlow(open: () => Promise<ConversationStore>, transport: 'uws' | 'node') {
  gate = deferred();
  appending = deferred();
  let store: ConversationStore | undefined;
  const plugin = definePlugin({
    name: 'slow-store',
    apiVersion: 1,
    provides: [ConversationStore],
    async setup(ctx) {
      store = await open();
      if (store instanceof SqliteStore) {
        const opened = store;
        ctx.effect('file', () => () => opened.close(1000));
      }
      ctx.provide(ConversationStore, open === simple ? store : slowly(store));
    },
  });
  const agent = new ScriptedAgent('a', [text('whole'), done]);
  const bringer = definePlugin({ name: 'agent-a', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
  hive = await startHive({
    transport,
    store: plugin,
    plugins: [bringer],
    config: { 'agent-queen': { candidates: ['a'] } },
  });
  const held = (key: ConversationKey): Promise<readonly ChatMessage[]> =>
    (store as ConversationStore).read(key);
  return { hive, held };
}

const key = { userId: 'ann', conversationId: 'c1' };
const ask = { type: 'stream_request', content: 'Hi', conversationId: 'c1' };

type Stop = (client: WsClient, streamId: string, url: string) => Promise<unknown>;

const overHttp: Stop = async (_, streamId, url) => {
  const response = await fetch(`${url}/chat/stream/${streamId}`, { method: 'DELETE' });
  expect(await response.json()).toMatchObject({ cancelled: true });
};

const overTab: Stop = async (client, streamId, url) => {
  const tab = await WsClient.connect(`${url.replace('http', 'ws')}/ws/tab`);
  tab.send({ type: 'cancel', streamId });
  await client.until(({ type }) => type === 'cancelled');
  tab.socket.close();
};
const byLeaving: Stop = async (client) => {
  client.socket.close();
  await client.closed;
};

describe.each(['uws', 'node'] as const)(
  'a cancel while an answer is being stored, over transport-%s',
  (transport) => {
    it.each<[string, () => Promise<ConversationStore>]>([
      ['store-memory', memory],
      ['store-sqlite', sqlite],
      ['a store that cannot take back', simple],
    ])('is confirmed, and of the answer only what came is kept by %s', async (_, open) => {
      const { hive, held } = await startSlow(open, transport);
      const client = await WsClient.connect(`${hive.ws}/ann`);
      // One that was not stopped stays.
      client.send({ ...ask, content: 'First', requestId: 'first' });
      await appending.promise;
      gate.resolve();
      await client.until(({ type }) => type === 'streaming_end');
      const before = await held(key);
      expect(before).toHaveLength(2);

      gate = deferred();
      appending = deferred();
      client.send({ ...ask, requestId: 'second' });
      await appending.promise;
      const { streamId } = await client.until(
        ({ type, requestId }) => type === 'streaming_start' && requestId === 'second',
      );
      client.send({ type: 'cancel', streamId });
      client.send({ type: 'ping' });
      await client.until(({ type }) => type === 'pong');
      gate.resolve();
      const end = await client.until((frame) => frame.type === 'cancelled');
      expect(end).toMatchObject({ streamId, reason: 'client' });
      expect(unstamped(await held(key))).toEqual([
        ...unstamped(before),
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'whole', end: 'cancelled' },
      ]);
      client.socket.close();
      await client.closed;
    });

    it.each<[string, Stop, object]>([
      ['over HTTP', overHttp, {}],
      ['over another connection', overTab, {}],
      ['by leaving', byLeaving, { onDisconnect: 'cancel' }],
    ])('of a conversation that begins with it the question stays: %s', async (_, stop, more) => {
      const { hive, held } = await startSlow(memory, transport);
      const client = await WsClient.connect(`${hive.ws}/ann`);
      client.send({ ...ask, ...more });
      await appending.promise;
      const { streamId } = await client.until(({ type }) => type === 'streaming_start');
      const reply = (await hive.streams.find(streamId as string)) as Reply;
      const { cancel } = reply;
      const asked = deferred();
      reply.cancel = (reason) => {
        asked.resolve();
        return cancel.call(reply, reason);
      };
      const stopping = stop(client, reply.streamId, hive.url);
      await asked.promise;
      gate.resolve();
      await stopping;
      await expect.poll(() => reply.ended).toBe(true);
      expect(unstamped(await held(key))).toEqual([
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'whole', end: 'cancelled' },
      ]);
      client.socket.close();
      await client.closed;
    });
  },
);
