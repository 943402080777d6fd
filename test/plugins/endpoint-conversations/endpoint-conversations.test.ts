import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConversationStore } from '#kernel';
import endpointConversations from '../../../plugins/endpoint-conversations/index.js';
import { allLinesOf } from '../../../plugins/endpoint-conversations/json-lines.js';
import { config } from '../../../plugins/store-memory/config.js';
import storeMemory from '../../../plugins/store-memory/index.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import storeSqlite from '../../../plugins/store-sqlite/index.js';
import { type Hive, startHive } from '../../support/hive.js';
import { call } from '../../support/transport.js';
import { WsClient } from '../../support/ws-client.js';

describe.each([
  ['store-memory', storeMemory],
  ['store-sqlite', storeSqlite],
] as const)('the routes of conversations, over %s', (name, store) => {
  let hive: Hive;
  let close = async () => {};

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-'));
    const settings = name === 'store-sqlite' ? { path: join(folder, 'c.sqlite') } : {};
    hive = await startHive({ store, plugins: [endpointConversations], config: { store: settings } });
    close = async () => {
      await hive.close();
      rmSync(folder, { recursive: true });
    };
  });
  afterAll(() => close());

  const ask = (method: string, path: string) => call(Number(new URL(hive.url).port), { method, path });
  const get = (path: string) => ask('GET', path);
  const chat = async (user_id: string, content: string, conversation_id?: string) => {
    const body = JSON.stringify({ user_id, content, ...(conversation_id && { conversation_id }) });
    const answer = await fetch(`${hive.url}/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    return (await answer.json()) as { readonly response: string; readonly conversation_id: string };
  };

  it('list what a user has talked about, the latest first, and page by page', async () => {
    const startedAt = Date.now();
    const first = await chat('lister', 'Good morning');
    await chat('lister', 'Good\nevening', 'second');
    await chat('lister', 'once more', first.conversation_id);
    const { json, headers } = await get('/conversations?user_id=lister');
    expect(json.conversations).toEqual([
      {
        conversation_id: first.conversation_id,
        title: 'Good morning',
        messages: 4,
        updated_at: expect.any(Number),
      },
      { conversation_id: 'second', title: 'Good evening', messages: 2, updated_at: expect.any(Number) },
    ]);
    expect(json.conversations[1].updated_at).toBeGreaterThanOrEqual(startedAt);
    expect(headers['cache-control']).toBe('no-store');
    const page = (await get('/conversations?user_id=lister&limit=1')).json.conversations;
    const { updated_at: before } = page[0];
    const next = (await get(`/conversations?user_id=lister&limit=1&before=${before}`)).json.conversations;
    expect([...page, ...next]).toEqual(json.conversations);
    expect((await get('/conversations?user_id=nobody')).json).toEqual({ conversations: [] });
  });

  it('give the messages of a conversation to its user alone', async () => {
    const { response } = await chat('reader', 'Hallo', 'c 1');
    expect((await get('/conversations/c%201/messages?user_id=reader')).json).toEqual({
      messages: [
        { role: 'user', content: 'Hallo' },
        { role: 'assistant', content: response },
      ],
    });
    const other = await get('/conversations/c%201/messages?user_id=other');
    expect([other.status, other.json.error.code]).toEqual([404, 'CONVERSATION_UNKNOWN']);
  });

  it('tell of a turn that did not end well how it ended', async () => {
    const key = { userId: 'ender', conversationId: 'c' };
    const kept = [
      { role: 'user', content: 'a', end: 'failed' },
      { role: 'user', content: 'b' },
      { role: 'assistant', content: 'part', end: 'cancelled' },
    ] as const;
    await hive.kernel.get(ConversationStore).append(key, kept);
    expect((await get('/conversations/c/messages?user_id=ender')).json).toEqual({ messages: kept });
    const { text } = await get('/conversations/c/export?user_id=ender');
    const lines = text
      .trim()
      .split('\n')
      .map((line: string) => JSON.parse(line));
    expect(lines).toEqual(kept.map((message) => ({ conversation_id: 'c', ...message })));
  });

  it('know what was said over a WebSocket under its client_id', async () => {
    const client = await WsClient.connect(`${hive.ws}/socket-user`);
    await client.ask({ content: 'Hallo', conversationId: 'over-ws' });
    await client.close();
    const { json } = await get('/conversations?user_id=socket-user');
    expect(json.conversations).toMatchObject([{ conversation_id: 'over-ws', title: 'Hallo' }]);
  });

  it('delete a conversation, once', async () => {
    await chat('deleter', 'Hallo', 'gone');
    await chat('deleter', 'Hallo', 'kept');
    expect((await ask('DELETE', '/conversations/gone?user_id=somebody')).status).toBe(404);
    const first = await ask('DELETE', '/conversations/gone?user_id=deleter');
    expect([first.status, first.json]).toEqual([200, { deleted: true }]);
    expect((await ask('DELETE', '/conversations/gone?user_id=deleter')).status).toBe(404);
    expect((await get('/conversations/gone/messages?user_id=deleter')).status).toBe(404);
    expect((await get('/conversations?user_id=deleter')).json.conversations).toMatchObject([
      { conversation_id: 'kept' },
    ]);
  });

  it('export one conversation, or all, as lines of JSON', async () => {
    await chat('exporter', 'one\ntwo', 'a');
    await chat('exporter', 'three', 'b');
    await chat('exporter', 'four', 'a');
    const lines = (text: string) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    const one = await get('/conversations/a/export?user_id=exporter');
    expect(one.headers).toMatchObject({
      'content-type': 'application/x-ndjson; charset=utf-8',
      'content-disposition': 'attachment; filename="conversation.jsonl"',
    });
    const said = lines(one.text);
    expect(said.map(({ conversation_id, role }) => [conversation_id, role])).toEqual(
      ['user', 'assistant', 'user', 'assistant'].map((role) => ['a', role]),
    );
    expect(said[0].content).toBe('one\ntwo');
    const all = lines((await get('/conversations/export?user_id=exporter')).text);
    expect(all).toHaveLength(6);
    expect(all.slice(0, 4)).toEqual(said);
    expect((await get('/conversations/x/export?user_id=exporter')).status).toBe(404);
    const nothing = await get('/conversations/export?user_id=nobody');
    expect([nothing.status, nothing.text]).toEqual([200, '']);
  });

  it.each([
    ['/conversations', 'user_id: expected string'],
    ['/conversations?user_id=', 'user_id: expected string 1-128 characters'],
    ['/conversations?user_id=u&limit=0', 'limit: expected an integer 1-100'],
    ['/conversations?user_id=u&limit=101', 'limit: expected an integer 1-100'],
    ['/conversations?user_id=u&before=-1', 'before: expected an integer >= 0'],
    ['/conversations/c/messages', 'user_id'],
    ['/conversations/c/export', 'user_id'],
    ['/conversations/export', 'user_id'],
  ])('refuse %s, and say why', async (path, why) => {
    const { status, json } = await get(path);
    expect([status, json.error.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(json.error.message).toContain(why);
  });

  it('send a conversation that is larger than any buffer', async () => {
    const messages = Array.from({ length: 900 }, (_, index) => ({
      role: 'user' as const,
      content: `${index} ${'x'.repeat(8000)}`,
    }));
    await hive.kernel.get(ConversationStore).append({ userId: 'large', conversationId: 'c' }, messages);
    const { text } = await get('/conversations/c/export?user_id=large');
    const numbers = text
      .trimEnd()
      .split('\n')
      .map((line) => Number.parseInt(JSON.parse(line).content, 10));
    expect(numbers).toEqual(messages.map((_, index) => index));
  });
});

describe('an export of everything', () => {
  it('reads the next conversation when there is room for it, and misses none that changes meanwhile', async () => {
    const store = new MemoryStore(config.parse({}));
    const turn = [{ role: 'user' as const, content: 'x' }];
    for (let id = 0; id < 2500; id++) await store.append({ userId: 'ann', conversationId: `c${id}` }, turn);
    let reads = 0;
    const counting: ConversationStore = {
      append: (...args) => store.append(...args),
      delete: (...args) => store.delete(...args),
      list: (...args) => store.list(...args),
      read: (...args) => {
        reads++;
        return store.read(...args);
      },
    };
    const lines = allLinesOf(counting, 'ann')[Symbol.asyncIterator]();
    await lines.next();
    expect(reads).toBe(1);
    await store.append({ userId: 'ann', conversationId: 'c7' }, turn);
    await store.delete({ userId: 'ann', conversationId: 'c8' });
    const ids = new Set(['c2499']);
    for (let next = await lines.next(); !next.done; next = await lines.next())
      ids.add(JSON.parse(next.value.split('\n')[0] as string).conversation_id);
    expect(ids.size).toBe(2499);
    expect(ids.has('c7')).toBe(true);
  });
});
