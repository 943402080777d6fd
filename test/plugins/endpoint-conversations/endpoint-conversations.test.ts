import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChatMessage, ConversationStore, definePlugin } from '#kernel';
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
    expect((await get('/conversations/c%201/messages?user_id=reader')).json).toMatchObject({
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
    const { json } = await get('/conversations/c/messages?user_id=ender');
    const number = expect.any(Number);
    expect(json).toEqual({ messages: kept.map((message) => ({ number, ...message })) });
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

  const messagesOf = async (user: string) =>
    (await get(`/conversations/c/messages?user_id=${user}`)).json.messages as readonly {
      readonly number: number;
      readonly content: string;
      readonly at: number;
      readonly versions?: readonly number[];
    }[];
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${hive.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, json: (await answer.json()) as { error?: { code: string } } };
  };

  it('keep the versions of a question that was asked again, and show each of them', async () => {
    for (const content of ['one', 'two']) await chat('editor', content, 'c');
    const [, , second] = await messagesOf('editor');
    const asked = { user_id: 'editor', content: 'other', conversation_id: 'c', replaces: second?.number };
    expect(await post('/chat', asked)).toMatchObject({ status: 200 });
    const words = async () =>
      (await messagesOf('editor')).filter((_, at) => at % 2 === 0).map(({ content }) => content);
    expect(await words()).toEqual(['one', 'other']);
    const [, , other] = await messagesOf('editor');
    expect(other?.versions).toEqual([second?.at]);
    const show = (number: unknown, at: unknown, user = 'editor') =>
      post(`/conversations/c/versions?user_id=${user}`, { number, at });
    expect(await show(other?.number, second?.at)).toEqual({
      status: 200,
      json: { conversation_id: 'c', at: second?.at },
    });
    expect(await words()).toEqual(['one', 'two']);
    const [first, , again] = await messagesOf('editor');
    expect(again?.versions).toEqual([other?.at]);
    // An export has all of it.
    const { text } = await get('/conversations/c/export?user_id=editor');
    expect(JSON.parse(text.split('\n')[2] ?? '').versions).toMatchObject([[{ content: 'other' }, {}]]);
    const imported = await fetch(`${hive.url}/conversations/import?user_id=importer-of-versions`, {
      method: 'POST',
      body: text,
    });
    expect(imported.status).toBe(200);
    const there = await get('/conversations/c/export?user_id=importer-of-versions');
    expect(there.text).toBe(text);
    for (const [number, at, user, code] of [
      [again?.number, 1, 'editor', 'MESSAGE_UNKNOWN'],
      [(first?.number ?? 0) + 1, other?.at, 'editor', 'MESSAGE_UNKNOWN'],
      [again?.number, other?.at, 'somebody', 'CONVERSATION_UNKNOWN'],
      ['x', other?.at, 'editor', 'INVALID_REQUEST'],
    ] as const)
      expect((await show(number, at, user)).json.error?.code).toBe(code);
    expect(await words()).toEqual(['one', 'two']);
  });

  it('delete a question with its answer', async () => {
    for (const content of ['one', 'two', 'three']) await chat('cutter', content, 'c');
    const cut = (number: unknown, user = 'cutter') =>
      ask('DELETE', `/conversations/c/messages/${number}?user_id=${user}`);
    const [, , second, answer] = await messagesOf('cutter');
    expect((await cut(second?.number, 'somebody')).json.error.code).toBe('CONVERSATION_UNKNOWN');
    expect((await cut(answer?.number)).json.error.code).toBe('MESSAGE_UNKNOWN');
    expect((await cut('x')).json.error.code).toBe('INVALID_REQUEST');
    expect((await cut(second?.number)).json).toEqual({ deleted: true });
    expect((await cut(second?.number)).json.error.code).toBe('MESSAGE_UNKNOWN');
    const questions = async () => (await messagesOf('cutter')).filter((_, at) => at % 2 === 0);
    expect((await questions()).map(({ content }) => content)).toEqual(['one', 'three']);
    for (const { number } of [...(await questions())].reverse()) expect((await cut(number)).status).toBe(200);
    expect((await get('/conversations/c/messages?user_id=cutter')).status).toBe(404);
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
    // The latest one last, as an import restores them.
    expect(all.slice(2)).toEqual(said);
    expect((await get('/conversations/x/export?user_id=exporter')).status).toBe(404);
    const nothing = await get('/conversations/export?user_id=nobody');
    expect([nothing.status, nothing.text]).toEqual([200, '']);
  });

  const send = (method: string, path: string, body: unknown) =>
    call(Number(new URL(hive.url).port), {
      method,
      path,
      headers: { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  it('give a conversation page by page', async () => {
    for (const word of ['one', 'two', 'three']) await chat('pager', word, 'c');
    const page = async (query: string) =>
      (await get(`/conversations/c/messages?user_id=pager&limit=4${query}`)).json.messages;
    const last = await page('');
    const first = await page(`&before=${last[0].number}`);
    expect([first.length, last.length]).toEqual([2, 4]);
    const { json } = await get('/conversations/c/messages?user_id=pager');
    expect([...first, ...last]).toEqual(json.messages);
    expect(await page(`&before=${first[0].number}`)).toEqual([]);
    expect((await get('/conversations/none/messages?user_id=pager&before=9')).status).toBe(404);
  });

  it('rename a conversation', async () => {
    await chat('renamer', 'Hallo', 'c 1');
    const renamed = await send('PATCH', '/conversations/c%201?user_id=renamer', { title: ' My\ntalk ' });
    expect([renamed.status, renamed.json]).toEqual([200, { conversation_id: 'c 1', title: 'My talk' }]);
    await chat('renamer', 'Hallo again', 'c 1');
    expect((await get('/conversations?user_id=renamer')).json.conversations).toMatchObject([
      { conversation_id: 'c 1', title: 'My talk', messages: 4 },
    ]);
    const other = await send('PATCH', '/conversations/c%201?user_id=other', { title: 'mine' });
    expect([other.status, other.json.error.code]).toEqual([404, 'CONVERSATION_UNKNOWN']);
    for (const title of ['', ' \n', '\u0000', 'x'.repeat(201), 5, undefined])
      expect((await send('PATCH', '/conversations/c%201?user_id=renamer', { title })).status).toBe(400);
  });

  it('find what was said, where, and by its user alone', async () => {
    await chat('searcher', 'Where do bees live?', 'hive');
    await chat('searcher', 'And wasps?', 'nest');
    await chat('other searcher', 'bees', 'theirs');
    await send('PATCH', '/conversations/nest?user_id=searcher', { title: 'Not about bees' });
    const { json } = await get('/conversations/search?user_id=searcher&q=BEE');
    expect(json).toMatchObject({
      complete: true,
      hits: [
        {
          conversation_id: 'hive',
          title: 'Where do bees live?',
          role: 'user',
          excerpt: 'Where do bees live?',
        },
        { conversation_id: 'nest', excerpt: 'Not about bees' },
      ],
    });
    const [said, title] = json.hits;
    expect(title).not.toHaveProperty('role');
    expect(title.number).toBeLessThan(0);
    const around = `/conversations/hive/messages?user_id=searcher&limit=1&before=${said.number + 1}`;
    expect((await get(around)).json.messages).toMatchObject([{ content: 'Where do bees live?' }]);
    const page = (before = '') => get(`/conversations/search?user_id=searcher&q=bee&limit=1${before}`);
    expect((await page()).json.hits).toEqual([said]);
    expect((await page(`&before=${said.number}`)).json.hits).toEqual([title]);
    expect((await page(`&before=${title.number}`)).json.hits).toEqual([]);
  });

  it('import what was exported, once, and show it as it was', async () => {
    const kept: readonly ChatMessage[] = [
      {
        role: 'user',
        content: 'one\ntwo \u2028 \ud800 \0',
        images: ['data:image/png;base64,AAAA'],
        at: 1000,
      },
      {
        role: 'assistant',
        content: '',
        thinking: 'hm',
        toolCalls: [{ id: '1', name: 'look', arguments: '{"at": 1.0}', extra: { signature: 'x' } }],
      },
      { role: 'tool', content: '5', toolCallId: '1', toolName: 'look' },
      {
        role: 'assistant',
        content: 'five',
        agent: 'support',
        end: 'cancelled',
        at: 2000,
        answered: { agent: 'queen', model: 'm', usage: { inputTokens: 1, outputTokens: 2 } },
        extra: { a: 1 },
      },
      {
        role: 'user',
        content: 'x',
        name: 'bob',
        parts: [
          { type: 'text', text: 'x' },
          { type: 'other', value: { type: 'file' } },
        ],
      },
    ];
    const stored = hive.kernel.get(ConversationStore);
    for (const id of ['first', 'a/b', 'last'])
      await stored.append({ userId: 'from', conversationId: id }, kept);
    await stored.rename?.({ userId: 'from', conversationId: 'a/b' }, 'Renamed');
    const { text } = await get('/conversations/export?user_id=from');
    const first = await send('POST', '/conversations/import?user_id=to', text);
    const ids = ['first', 'a/b', 'last'];
    expect([first.status, first.json]).toEqual([
      200,
      { imported: ids.map((conversation_id) => ({ conversation_id, messages: 5 })), skipped: [] },
    ]);
    expect((await get('/conversations/export?user_id=to')).text).toBe(text);
    for (const id of ids) expect(await stored.read({ userId: 'to', conversationId: id })).toEqual(kept);
    const titles = async (user: string) =>
      (await get(`/conversations?user_id=${user}`)).json.conversations.map(
        ({ conversation_id, title }: Record<string, string>) => [conversation_id, title],
      );
    expect(await titles('to')).toEqual(await titles('from'));
    // Once more, when one has grown, one is gone, and one is another.
    await stored.append({ userId: 'to', conversationId: 'first' }, [{ role: 'user', content: 'more' }]);
    await stored.delete({ userId: 'to', conversationId: 'a/b' });
    await stored.delete({ userId: 'to', conversationId: 'last' });
    await stored.append({ userId: 'to', conversationId: 'last' }, [{ role: 'user', content: 'another' }]);
    const again = await send('POST', '/conversations/import?user_id=to&first_line=101', text);
    expect(again.json).toEqual({
      imported: [{ conversation_id: 'a/b', messages: 5 }],
      skipped: [
        { conversation_id: 'first', line: 101, why: 'it is there already' },
        { conversation_id: 'last', line: 111, why: 'a conversation with other messages has this id' },
      ],
    });
    expect(await stored.read({ userId: 'to', conversationId: 'first' })).toHaveLength(6);
  });

  it('import nothing of lines with a mistake, and name the line', async () => {
    const line = (more: object) =>
      JSON.stringify({ conversation_id: 'c', role: 'user', content: 'x', ...more });
    for (const [bad, why] of [
      ['{', 'line 3: invalid JSON'],
      ['[]', 'line 3: '],
      [line({ role: 'robot' }), 'line 3: role: '],
      [line({ content: 5 }), 'line 3: content: expected string'],
      [line({ images: ['file:///a.png'] }), 'line 3: images.0: expected a data: or http(s) URL of an image'],
      [line({ conversation_id: '' }), 'line 3: conversation_id: '],
      [
        Array.from({ length: 1000 }, (_, id) => line({ conversation_id: `m${id}` })).join('\n'),
        'line 1002: more than 1000 conversations',
      ],
      ['['.repeat(100), 'line 3: the JSON is nested deeper than'],
    ] as const) {
      const { status, json } = await send(
        'POST',
        '/conversations/import?user_id=careless',
        `${line({})}\n\n${bad}\n`,
      );
      expect([status, json.error.code]).toEqual([400, 'INVALID_REQUEST']);
      expect(json.error.message).toContain(why);
    }
    expect((await get('/conversations?user_id=careless')).json.conversations).toEqual([]);
    const large = line({ content: 'x'.repeat(8_000_001) });
    const { json } = await send(
      'POST',
      '/conversations/import?user_id=careless',
      `${large}\n${line({ conversation_id: 'd' })}`,
    );
    expect(json).toMatchObject({
      imported: [{ conversation_id: 'd' }],
      skipped: [
        { conversation_id: 'c', line: 1, why: expect.stringMatching(/^more than 8000000 characters/) },
      ],
    });
  });

  it('import for one user at a time', async () => {
    const lines = JSON.stringify({ conversation_id: 'c', role: 'user', content: 'x' });
    const both = await Promise.all(
      [1, 2].map(() => send('POST', '/conversations/import?user_id=twice', lines)),
    );
    const codes = both.map(({ status }) => status).sort();
    expect([
      [200, 200],
      [200, 409],
    ]).toContainEqual(codes);
    expect((await get('/conversations/c/messages?user_id=twice')).json.messages).toHaveLength(1);
  });

  it.each([
    ['/conversations/search?user_id=u', 'q: expected string'],
    ['/conversations/search?user_id=u&q=', 'q: '],
    ['/conversations/search?user_id=u&q=x&before=x', 'before: expected an integer'],
    ['/conversations/search?user_id=u&q=x&limit=101', 'limit: expected an integer 1-100'],
    ['/conversations/c/messages?user_id=u&limit=0', 'limit: expected an integer 1-1000'],
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

describe('a store that can do no more than it has to', () => {
  it('is asked for nothing else, and the routes say so', async () => {
    const memory = new MemoryStore(config.parse({}));
    const poor: ConversationStore = {
      append: (...args) => memory.append(...args),
      delete: (...args) => memory.delete(...args),
      list: (...args) => memory.list(...args),
      read: (...args) => memory.read(...args),
    };
    const store = definePlugin({
      name: 'store-poor',
      apiVersion: 1,
      provides: [ConversationStore],
      setup: (ctx) => void ctx.provide(ConversationStore, poor),
    });
    const hive = await startHive({ store, plugins: [endpointConversations] });
    const ask = (method: string, path: string, body?: string) =>
      call(Number(new URL(hive.url).port), { method, path, ...(body && { body }) });
    const line = (content: string) => `${JSON.stringify({ conversation_id: 'c', role: 'user', content })}\n`;
    const title = JSON.stringify({ conversation_id: 'd', title: 'new', role: 'user', content: 'x' });
    const lines = `${line('one')}${line('two')}${title}\n`;
    expect((await ask('POST', '/conversations/import?user_id=u', lines)).json.imported).toHaveLength(2);
    const messages = '/conversations/c/messages?user_id=u';
    expect((await ask('GET', messages)).json.messages).toEqual([
      { role: 'user', content: 'one' },
      { role: 'user', content: 'two' },
    ]);
    expect((await ask('GET', `${messages}&limit=1`)).json.messages).toEqual([
      { role: 'user', content: 'two' },
    ]);
    for (const [method, path, body] of [
      ['GET', `${messages}&before=2`],
      ['GET', '/conversations/search?user_id=u&q=one'],
      ['PATCH', '/conversations/c?user_id=u', '{"title":"new"}'],
    ] as const) {
      const { status, json } = await ask(method, path, body);
      expect([status, json.error.code]).toEqual([501, 'NOT_IMPLEMENTED']);
      expect(json.error.message).toMatch(/^this server cannot \w+ /);
    }
    await hive.close();
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
    const ids = new Set(['c0']);
    for (let next = await lines.next(); !next.done; next = await lines.next())
      ids.add(JSON.parse(next.value.split('\n')[0] as string).conversation_id);
    expect(ids.size).toBe(2499);
    expect(ids.has('c7')).toBe(true);
  });
});
