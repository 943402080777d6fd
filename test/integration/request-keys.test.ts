import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { definePlugin } from '#kernel';
import { type Hive, startHive } from '../support/hive.js';
import { call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

const tasks = definePlugin({
  name: 'tasks',
  apiVersion: 1,
  setup(ctx) {
    let runs = 0;
    const base = { lane: 'main', exposed: true, message: true } as const;
    ctx.registerTask({ ...base, name: 'count', run: () => ++runs });
    ctx.registerTask({ ...base, name: 'other', run: () => 'other' });
    ctx.registerTask({
      ...base,
      name: 'fails',
      input: z.unknown(),
      run: () => {
        throw new Error(`no ${++runs}`);
      },
    });
  },
});

type Body = Readonly<Record<string, unknown>>;
/** What a request gave: the key of the run behind it, or the code of its error. */
interface Given {
  readonly run?: string | undefined;
  readonly code?: string | undefined;
  readonly status?: number;
}
interface Door {
  /** A request, with what it asks for as the same door words it. */
  readonly ask: (key: string, more?: Body) => Promise<Given>;
  readonly others: Readonly<Record<string, Body>>;
}

let keys = 0;

describe.each(['uws', 'node'] as const)('a key stands for one request over transport-%s:', (transport) => {
  let hive: Hive;
  let client: WsClient;
  let port: number;
  beforeAll(async () => {
    hive = await startHive({ transport, plugins: [tasks], config: { 'tasks-tinypool': { workers: 1 } } });
    client = await WsClient.connect(`${hive.ws}/ann`);
    port = Number(new URL(hive.url).port);
  });
  afterAll(async () => {
    await client.close();
    await hive.close();
  });

  const post = async (path: string, body: Body, headers: Readonly<Record<string, string>> = {}) => {
    const answer = await call(port, {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const { status, headers: given, text } = answer;
    const json = text.startsWith('{') ? answer.json : {};
    return { status, headers: given, text, json, code: json.error?.code.toUpperCase() as string | undefined };
  };
  const chat =
    (path: string) =>
    async (key: string, more: Body = {}): Promise<Given> => {
      const { agent, ...fields } = { agent: 'eliza', ...more };
      const body = { content: 'PIN 1234', user_id: 'ann', request_id: key, agent, ...fields };
      const { status, code, headers, text } = await post(path, body);
      return { status, code, run: code ? undefined : `${headers['x-stream-id'] ?? text}` };
    };
  const openai =
    (path: string, asked: Body) =>
    async (key: string, more: Body = {}): Promise<Given> => {
      const body = { model: 'eliza', user: 'ann', ...asked, ...more };
      const { status, code, headers } = await post(path, body, { 'idempotency-key': key });
      return { status, code, run: code ? undefined : `${headers['x-stream-id']}` };
    };
  const task = async (key: string, { name = 'count', ...more }: Body = {}): Promise<Given> => {
    const body = { input: { a: 1 }, user_id: 'ann', request_id: key, ...more };
    const { status, code, json } = await post(`/tasks/${name}?wait=5000`, body);
    return { status, code, run: json.taskId };
  };
  const frame =
    (asked: Body) =>
    async (key: string, more: Body = {}): Promise<Given> => {
      const peer = await WsClient.connect(`${hive.ws}/${more.client ?? 'ann-2'}`);
      const { client: _, ...fields } = more;
      peer.send({ ...asked, ...fields, requestId: key });
      const first = await peer.until(({ type, requestId }) => type !== 'queue_update' && requestId === key);
      await peer.close();
      const { code, streamId, taskId, conversationId, output } = first;
      return { code, run: `${streamId ?? taskId ?? conversationId ?? output}` };
    };

  const content = { content: 'hello' };
  const chatOthers: Door['others'] = {
    content,
    agent: { agent: 'nobody' },
    model: { model: 'm' },
    options: { options: { temperature: 0 } },
  };
  const doors: Readonly<Record<string, Door>> = {
    'POST /chat': { ask: chat('/chat'), others: { ...chatOthers, conversation: { conversation_id: 'c' } } },
    'POST /chat/stream': { ask: chat('/chat/stream'), others: chatOthers },
    'POST /v1/chat/completions': {
      ask: openai('/v1/chat/completions', { messages: [{ role: 'user', content: 'PIN 1234' }] }),
      others: {
        content: { messages: [{ role: 'user', content: 'hello' }] },
        model: { model: 'queen' },
        options: { temperature: 0 },
        tools: { tools: [{ type: 'function', function: { name: 't' } }] },
      },
    },
    'POST /v1/completions': {
      ask: openai('/v1/completions', { prompt: 'PIN 1234' }),
      others: { content: { prompt: 'hello' }, options: { stop: 'x' } },
    },
    'POST /tasks': {
      ask: task,
      others: { input: { input: { a: 2 } }, 'no input': { input: undefined }, task: { name: 'other' } },
    },
    stream_request: {
      ask: frame({ type: 'stream_request', content: 'PIN 1234', agent: 'eliza' }),
      others: { ...chatOthers, conversation: { conversationId: 'c' } },
    },
    message: {
      ask: frame({ type: 'message', content: 'PIN 1234', agent: 'eliza' }),
      others: chatOthers,
    },
    task: {
      ask: frame({ type: 'task', task: 'count', input: { a: 1 } }),
      others: { input: { input: [] }, task: { task: 'other' } },
    },
    "a task's own frame": {
      ask: frame({ type: 'count', a: 1 }),
      others: { input: { a: 2 }, task: { type: 'other' } },
    },
  };
  const rows = Object.entries(doors).flatMap(([door, { others }]) =>
    Object.entries(others).map(([what, more]) => [door, what, more] as const),
  );

  it.each(Object.keys(doors))('the same request at %s joins', async (door) => {
    const { ask } = doors[door] as Door;
    const key = `k${++keys}`;
    const first = await ask(key);
    expect(first).toMatchObject({ code: undefined });
    expect(await ask(key)).toMatchObject({ code: undefined, run: first.run });
  });

  it.each(rows)('at %s another %s is refused', async (door, _, more) => {
    const { ask } = doors[door] as Door;
    const key = `k${++keys}`;
    const { status } = await ask(key);
    const refused = await ask(key, more);
    expect(refused).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH', ...(status && { status: 409 }) });
  });

  it.each([
    ['POST /chat', 'POST /chat/stream', {}],
    ['POST /chat', 'stream_request', { client: 'ann' }],
    ['POST /chat', 'POST /v1/chat/completions', {}],
    ['POST /v1/chat/completions', 'POST /v1/completions', {}],
  ])('after %s another endpoint is refused: %s', async (first, second, more) => {
    const key = `k${++keys}`;
    await doors[first]?.ask(key);
    expect(await doors[second]?.ask(key, more)).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' });
    client = await WsClient.connect(`${hive.ws}/ann`);
  });

  it.each([
    ['POST /v1/chat/completions', { user: undefined }],
    ['POST /v1/chat/completions', { user: '' }],
    ['POST /v1/completions', { user: null }],
    ['POST /v1/completions', { user: {} }],
    ['POST /tasks', { user_id: undefined }],
  ])('callers of %s without a user share nothing: %j', async (door, nobody) => {
    const { ask } = doors[door] as Door;
    const key = `k${++keys}`;
    const [first, second] = [await ask(key, nobody), await ask(key, nobody)];
    expect([first.code, second.code]).toEqual([undefined, undefined]);
    expect(second.run).not.toBe(first.run);
  });

  it.each([
    ['POST /tasks', { name: 'fails' }],
    ['task', { task: 'fails' }],
    ['POST /chat', { agent: 'nobody' }],
    ['POST /chat/stream', { agent: 'nobody' }],
    ['stream_request', { agent: 'nobody' }],
    ['message', { agent: 'nobody' }],
  ])('a failed run of %s is not given again: %j', async (door, failing) => {
    const { ask } = doors[door] as Door;
    const key = `k${++keys}`;
    const before = runs();
    await ask(key, failing);
    await ended();
    await ask(key, failing);
    await ended();
    expect(runs() - before).toBe(2);
    // The key is free again.
    expect(await ask(key)).toMatchObject({ code: undefined });
  });

  it.each([
    ['POST /chat', { request_id: 'x'.repeat(129) }],
    ['POST /chat/stream', { request_id: 'x'.repeat(500) }],
    ['POST /tasks', { request_id: 'x'.repeat(129) }],
    ['POST /chat', { user_id: 'x'.repeat(129) }],
    ['POST /tasks', { user_id: 'x'.repeat(129) }],
    ['POST /chat', { conversation_id: 'x'.repeat(129) }],
  ])('an id of %s that is too long is refused, with the limit', async (door, more) => {
    const path = door === 'POST /tasks' ? '/tasks/count' : door.slice('POST '.length);
    const asked = door === 'POST /tasks' ? {} : { content: 'Hallo', user_id: 'ann' };
    const { status, json } = await post(path, { ...asked, ...more });
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ code: 'INVALID_REQUEST', message: expect.stringContaining('128') });
  });

  it('a header that is too long is refused, with the limit', async () => {
    const { ask } = doors['POST /v1/completions'] as Door;
    expect(await ask('x'.repeat(129))).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
  });

  it.each(['stream_request', 'message', 'task', 'count'])(
    'a requestId of %s that is too long is refused, and not cut',
    async (type) => {
      const requestId = `${type}${'x'.repeat(300)}`;
      client.send({ type, content: 'Hallo', task: 'count', requestId });
      const frame = await client.until((each) => each.requestId === requestId);
      expect(frame).toMatchObject({ code: 'INVALID_FRAME', message: expect.stringContaining('128') });
    },
  );

  /** Replies and runs that began so far. */
  function runs(): number {
    const { submitted, rejected } = hive.tasks.stats;
    return submitted - rejected;
  }

  async function ended(): Promise<void> {
    while (hive.tasks.stats.running > 0) await new Promise((resolve) => setImmediate(resolve));
  }
});
