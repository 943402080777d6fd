import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type AgentHealth,
  BaseAgent,
  ConversationStore,
  definePlugin,
  type Plugin,
  type TaskRun,
  WaggleError,
} from '#kernel';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import endpointDocs from '../../plugins/endpoint-docs/index.js';
import endpointMetrics from '../../plugins/endpoint-metrics/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { accessPlugin } from '../support/access.js';
import { ApiDocument, strictValidator } from '../support/api-document.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, type HiveOptions, startHive } from '../support/hive.js';
import { deferred } from '../support/kernel.js';
import { times } from '../support/thorough.js';
import { type Call, call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

const bodyLimitBytes = 4096;
const over = deferred();

/** Once the server has started, it neither says how it is, nor begins, nor stops. */
class Mute extends BaseAgent {
  readonly name = 'mute';
  #started = false;

  async health(): Promise<AgentHealth> {
    if (this.#started) await over.promise;
    this.#started = true;
    return { healthy: false };
  }

  // biome-ignore lint/correctness/useYield: that is what it is about
  async *generateResponseStream(): AsyncGenerator<never> {
    await over.promise;
  }
}

const mute: Plugin = definePlugin({
  name: 'mute',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new Mute()),
});

/** Remembers nothing, as too much waits for it already. */
const fullStore: Plugin = definePlugin({
  name: 'full-store',
  apiVersion: 1,
  provides: [ConversationStore],
  setup(ctx) {
    const refuse = async () => {
      throw new WaggleError('QUEUE_FULL', { limit: 1, what: 'reads', retryAfterMs: 1000 });
    };
    ctx.provide(ConversationStore, { read: refuse, append: refuse, delete: refuse, list: refuse });
  },
});

/** Takes too long for one user. */
const slowStore: Plugin = definePlugin({
  name: 'slow-store',
  apiVersion: 1,
  provides: [ConversationStore],
  setup(ctx) {
    const answer = async <T>(userId: string, value: T): Promise<T> => {
      if (userId === 'slow') await over.promise;
      return value;
    };
    ctx.provide(ConversationStore, {
      read: ({ userId }) => answer(userId, []),
      append: ({ userId }) => answer(userId, undefined),
      delete: ({ userId }) => answer(userId, false),
      list: (userId) => answer(userId, []),
    });
  },
});

/** Tasks that end in every way. */
const tasks: Plugin = definePlugin({
  name: 'tasks',
  apiVersion: 1,
  setup(ctx) {
    const exposed = { lane: 'main', exposed: true } as const;
    const input = z.object({ text: z.string() });
    ctx.registerTask({
      ...exposed,
      name: 'echo',
      description: 'Gives it back',
      input,
      output: input,
      run: (given) => given,
    });
    ctx.registerTask({
      ...exposed,
      name: 'parts',
      concurrency: 1,
      maxQueued: 1,
      run: (_, call) => {
        call.partial('a part');
        call.progress({ percent: 50 });
        return new Promise((_resolve, reject) =>
          call.signal.addEventListener('abort', () => reject(call.signal.reason)),
        );
      },
    });
    ctx.registerTask({
      ...exposed,
      name: 'fails',
      run: () => {
        throw new Error('it fails');
      },
    });
    ctx.registerTask({ ...exposed, name: 'slow', timeoutMs: 10, run: () => over.promise });
    ctx.registerTask({ ...exposed, name: 'stuck', run: () => over.promise });
    ctx.registerTask({ name: 'hidden', lane: 'main', run: () => 1 });
    ctx.registerTask({ name: 'greet', lane: 'main', message: true, input, run: ({ text }) => ({ text }) });
  },
});

let fake: FakeOllama;
let usual: Hive;
/** Everything takes too long for it. */
let hurried: Hive;
/** Nobody answers who is not asked by name, and one reply at a time. */
let lonely: Hive;
/** Its store refuses everything. */
let forgetful: Hive;
/** It asks for credentials. */
let closed: Hive;
let document: ApiDocument;
let folder: string;
let uiVersion: string;

const endpoints = [endpointOverview, endpointDocs, endpointConversations, endpointMetrics, uiWeb];
const start = ({ config, plugins = [], ...more }: HiveOptions) =>
  startHive({ fake, config: { ...config }, plugins: [...endpoints, tasks, ...plugins], ...more });

beforeAll(async () => {
  fake = await startFakeOllama();
  usual = await start({ config: { transport: { bodyLimitBytes }, 'agent-queen': { busyTimeoutMs: 0 } } });
  hurried = await start({
    store: slowStore,
    plugins: [mute],
    config: {
      transport: { requestTimeoutMs: 100 },
      'endpoint-chat': { replyTimeoutMs: 100, startTimeoutMs: 100 },
      'endpoint-openai': { replyTimeoutMs: 100 },
      'agent-queen': { candidates: ['mute'], healthTimeoutMs: 60_000 },
      // Whoever is told to stop has all the time to do so.
      'tasks-tinypool': { cancelGraceMs: 60_000 },
    },
  });
  lonely = await start({
    config: {
      'agent-queen': { candidates: ['nobody'] },
      'streams-memory': { maxRunning: 1, maxWaiting: 0 },
    },
  });
  forgetful = await start({ store: fullStore });
  closed = await start({ plugins: [accessPlugin()] });
  document = new ApiDocument(await (await fetch(`${usual.url}/openapi.json`)).json());
  const page = await (await fetch(`${usual.url}/docs`)).text();
  folder = /"\/docs\/(\w+)\//.exec(page)?.[1] as string;
  uiVersion = /"\/ui\/(\w+)\//.exec(await (await fetch(`${usual.url}/ui`)).text())?.[1] as string;
});
afterAll(async () => {
  over.resolve();
  await Promise.all([usual, hurried, lonely, forgetful, closed].map((hive) => hive.close()));
  await fake.close();
});

/** One request; its answer has to be a documented one. */
async function ask(hive: Hive, request: Call): Promise<string> {
  const answer = await call(Number(new URL(hive.url).port), request);
  return document.judge(request.method ?? 'GET', request.path, answer);
}

const get = (path: string, headers: Record<string, string> = {}): Call => ({ path, headers });
const remove = (path: string, headers: Record<string, string> = {}): Call => ({
  method: 'DELETE',
  path,
  headers,
});
const post = (path: string, body: object | string, headers: Record<string, string> = {}): Call => ({
  method: 'POST',
  path,
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const question = (more: object = {}) => ({ content: 'Hallo', user_id: 'u', ...more });
const tooLarge = {
  body: 'x'.repeat(bodyLimitBytes + 1),
  headers: { 'content-length': `${bodyLimitBytes + 1}` },
};
const evil = { origin: 'https://evil.example' };
const handshake = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};

/** A reply that has not ended when this resolves. */
const running = (hive: Hive, model: string) =>
  hive.streams.start({ content: 'Hallo', userId: 'u', agent: 'ollama', model });

async function cancelledByNumber(hive: Hive, agent: string): Promise<string> {
  const model = agent === 'ollama' ? 'stall?k=1' : undefined;
  hive.streams.start({ content: 'Hallo', userId: 'u', agent, model });
  const { streams } = await (await fetch(`${hive.url}/ui/state`)).json();
  return ask(hive, remove(`/ui/replies/${streams.replies[0].number}`));
}

/** A reply that has failed before it began. */
async function failed(hive: Hive, agent?: string): Promise<string> {
  const reply = hive.streams.start({ content: 'Hallo', userId: 'u', agent });
  await expect(reply.whole()).rejects.toThrow();
  return reply.streamId;
}

async function resumed(accept: string): Promise<string> {
  const reply = running(usual, 'thinking');
  await reply.whole();
  return ask(usual, get(`/chat/stream/${reply.streamId}?position=2`, { accept }));
}

/** A run that has not ended when this resolves. */
const runs = (hive: Hive, name: string) => hive.tasks.submit(name, { text: 'x' }).id;

async function whileTasksAreFull(): Promise<string> {
  const all = [runs(usual, 'parts'), runs(usual, 'parts')];
  const name = await ask(usual, post('/tasks/parts', { input: {} }));
  for (const id of all) await usual.tasks.find(id)?.cancel();
  return name;
}

async function cancelledWhileWaiting(): Promise<string> {
  const answer = ask(usual, post('/tasks/parts?wait=10000', { user_id: 'u', request_id: 'c' }));
  let run: TaskRun | undefined;
  while (!run?.attempts) {
    await new Promise((resolve) => setImmediate(resolve));
    if (usual.tasks.countsOf('parts')?.running)
      run = usual.tasks.submit('parts', {}, { owner: 'u', idempotencyKey: 'c' });
  }
  await run.cancel();
  return answer;
}

async function whileDraining(): Promise<string> {
  const hive = await start({});
  running(hive, 'stall?k=1');
  const stopped = hive.stop();
  const name = await ask(hive, get('/ready'));
  for (const reply of hive.streams.list()) void reply.cancel('client');
  await stopped;
  return name;
}

async function whileFull(path: string, body: object = question()): Promise<string> {
  const reply = running(lonely, 'stall?k=1');
  const name = await ask(lonely, post(path, body));
  await reply.cancel('client');
  return name;
}

async function upgraded(): Promise<string> {
  const client = await WsClient.connect(`${usual.ws}/docs`);
  await client.close();
  return document.judge('GET', '/ws/docs', { status: 101, headers: {}, text: '' });
}

/** Two requests with one key. */
async function again(requestOf: (content: string) => Call): Promise<string> {
  await ask(usual, requestOf('Hallo'));
  return ask(usual, requestOf('Hello'));
}

const tooLargeFor = (method: string, template: string): readonly [string, () => Promise<string>] => [
  `${method} ${template} 413`,
  () => ask(usual, { method, path: template.replace(/\{\w+\}/g, 'x'), ...tooLarge }),
];
const badChat = (path: string): readonly (readonly [string, () => Promise<string>])[] => [
  tooLargeFor('POST', path),
  [`POST ${path} 400`, () => ask(usual, post(path, { content: 5 }))],
  [`POST ${path} 403`, () => ask(usual, post(path, question(), evil))],
  [`POST ${path} 404`, () => ask(usual, post(path, question({ agent: 'nobody' })))],
  [
    `POST ${path} 409`,
    () => again((content) => post(path, question({ content, agent: 'eliza', request_id: `409${path}` }))),
  ],
  [`POST ${path} 415`, () => ask(usual, post(path, '<x/>', { 'content-type': 'application/xml' }))],
  [`POST ${path} 503`, () => whileFull(path)],
];

/** One conversation of a user, who has no other. */
async function remembered(user: string): Promise<void> {
  const reply = usual.streams.start({ content: 'Hallo', userId: user, conversationId: 'c', agent: 'eliza' });
  await reply.whole();
}

const conversation = '/conversations/{conversation_id}';
const ofConversation = (
  method: string,
  rest: string,
): readonly (readonly [string, () => Promise<string>])[] => {
  const name = `${method} ${conversation}${rest}`;
  const path = (id: string, user: string) => `/conversations/${id}${rest}?user_id=${user}`;
  return [
    [
      `${name} 200`,
      async () => {
        await remembered(name.length.toString());
        return ask(usual, { method, path: path('c', name.length.toString()) });
      },
    ],
    [`${name} 400`, () => ask(usual, { method, path: `/conversations/c${rest}` })],
    [`${name} 404`, () => ask(usual, { method, path: path('c', 'nobody') })],
    [`${name} 404`, () => ask(usual, { method, path: path('a%2fb', 'u') })],
    [`${name} 503`, () => ask(forgetful, { method, path: path('c', 'u') })],
    [`${name} 504`, () => ask(hurried, { method, path: path('c', 'slow') })],
    tooLargeFor(method, `${conversation}${rest}`),
  ];
};

/** The same with the bodies of OpenAI's API. */
const badCompletion = (
  path: string,
  asked: object,
): readonly (readonly [string, () => Promise<string>])[] => {
  const body = (model: string, more: object = {}) => ({ ...asked, model, ...more });
  const of = (status: number, run: () => Promise<string>) => [`POST ${path} ${status}`, run] as const;
  return [
    ...['ollama/normal', 'ollama/tool-late', 'ollama/thinking', 'ollama/fin-cut?k=2', 'eliza'].map((model) =>
      of(200, () =>
        ask(usual, post(path, body(model, { stream: true, stream_options: { include_usage: true } }))),
      ),
    ),
    ...['ollama/normal', 'ollama/tool-late', 'ollama/thinking', 'queen'].map((model) =>
      of(200, () => ask(usual, post(path, body(model)))),
    ),
    of(400, () => ask(usual, post(path, body('eliza', { n: 2 })))),
    of(400, () => ask(usual, post(path, '{'))),
    of(403, () => ask(usual, post(path, body('eliza'), evil))),
    of(404, () => ask(usual, post(path, body('nobody')))),
    of(404, () => ask(usual, post(path, body('ollama/nosuch', { stream: true })))),
    of(409, () =>
      again((content) => {
        const { messages } = asked as { readonly messages?: unknown };
        const other = messages ? { messages: [{ role: 'user', content }] } : { prompt: content };
        return post(path, body('eliza', { ...other, user: 'u' }), { 'idempotency-key': `409${path}` });
      }),
    ),
    tooLargeFor('POST', path),
    of(415, () => ask(usual, post(path, '<x/>', { 'content-type': 'application/xml' }))),
    of(500, () => ask(usual, post(path, body('ollama/error-first')))),
    of(502, () => ask(usual, post(path, body('ollama/fin-cut?k=2')))),
    of(503, () => whileFull(path, body('eliza'))),
    of(429, () => ask(usual, post(path, body('ollama/http-429')))),
    of(503, () => ask(usual, post(path, body('ollama/http-503')))),
    of(504, () => ask(hurried, post(path, body('mute')))),
  ];
};

/** How to come to each answer; every one of them gives the name of what it got. */
const scenarios: readonly (readonly [string, () => Promise<string>])[] = [
  ...[
    ...[
      '/',
      '/agents',
      '/asyncapi.json',
      '/docs',
      '/health',
      '/metrics',
      '/openapi.json',
      '/ready',
      '/tasks',
    ],
    ...['/ui', '/ui/', '/ui/inspector', '/ui/state'],
  ].flatMap((path) => [[`GET ${path} 200`, () => ask(usual, get(path))] as const, tooLargeFor('GET', path)]),
  ['GET /agents 504', () => ask(hurried, get('/agents'))],
  ['GET /ready 503', whileDraining],
  ['GET /ready 504', () => ask(hurried, get('/ready'))],

  ['GET /docs/{folder}/{file} 200', () => ask(usual, get(`/docs/${folder}/page.js`))],
  ['GET /docs/{folder}/{file} 404', () => ask(usual, get(`/docs/${folder}/index.html`))],
  tooLargeFor('GET', '/docs/{folder}/{file}'),

  ...['/ui', '/ui/', '/ui/inspector'].map(
    (path) => [`GET ${path} 304`, () => ask(usual, get(path, { 'if-none-match': '*' }))] as const,
  ),
  ['GET /ui/{version}/{folder}/{file} 200', () => ask(usual, get(`/ui/${uiVersion}/page/chat.css`))],
  [
    'GET /ui/{version}/{folder}/{file} 304',
    () => ask(usual, get(`/ui/${uiVersion}/page/icon.svg`, { 'if-none-match': '*' })),
  ],
  ['GET /ui/{version}/{folder}/{file} 404', () => ask(usual, get(`/ui/${uiVersion}/page/chat.html`))],
  tooLargeFor('GET', '/ui/{version}/{folder}/{file}'),

  ['POST /ui/session 200', () => ask(closed, post('/ui/session', { token: 'token-of-ann' }))],
  ['POST /ui/session 400', () => ask(closed, post('/ui/session', {}))],
  ['POST /ui/session 401', () => ask(closed, post('/ui/session', { token: 'wrong' }))],
  ['POST /ui/session 403', () => ask(closed, post('/ui/session', { token: 'token-of-ann' }, evil))],
  ['POST /ui/session 415', () => ask(closed, post('/ui/session', '{}', { 'content-type': 'text/plain' }))],
  tooLargeFor('POST', '/ui/session'),
  ['DELETE /ui/session 204', () => ask(closed, remove('/ui/session'))],
  ['DELETE /ui/session 403', () => ask(closed, remove('/ui/session', evil))],
  tooLargeFor('DELETE', '/ui/session'),
  ['DELETE /ui/replies/{number} 200', () => cancelledByNumber(usual, 'ollama')],
  ['DELETE /ui/replies/{number} 400', () => ask(usual, remove('/ui/replies/x'))],
  ['DELETE /ui/replies/{number} 403', () => ask(usual, remove('/ui/replies/1', evil))],
  ['DELETE /ui/replies/{number} 404', () => ask(usual, remove('/ui/replies/0'))],
  tooLargeFor('DELETE', '/ui/replies/{number}'),
  ['DELETE /ui/replies/{number} 504', () => cancelledByNumber(hurried, 'mute')],

  ['POST /chat 200', () => ask(usual, post('/chat', question()))],
  ...badChat('/chat'),
  ['POST /chat 502', () => ask(usual, post('/chat', question({ agent: 'ollama', model: 'fin-cut?k=2' })))],
  ['POST /chat 504', () => ask(hurried, post('/chat', question({ agent: 'mute' })))],

  ['POST /chat/stream 200', () => ask(usual, post('/chat/stream', question({ model: 'tool-early' })))],
  ...badChat('/chat/stream'),
  ['POST /chat/stream 504', () => ask(hurried, post('/chat/stream', question()))],

  ['GET /chat/stream/{stream_id} 200', () => resumed('application/x-ndjson')],
  ['GET /chat/stream/{stream_id} 200', () => resumed('text/event-stream')],
  [
    'GET /chat/stream/{stream_id} 204',
    async () => {
      const reply = running(usual, 'normal?n=3');
      for await (const _ of reply.read());
      return ask(usual, get(`/chat/stream/${reply.streamId}`, { 'last-event-id': String(reply.position) }));
    },
  ],
  [
    'GET /chat/stream/{stream_id} 400',
    async () => {
      const { streamId } = running(usual, 'normal');
      return ask(usual, get(`/chat/stream/${streamId}?position=-1`));
    },
  ],
  ['GET /chat/stream/{stream_id} 404', () => ask(usual, get('/chat/stream/a%2fb'))],
  [
    'GET /chat/stream/{stream_id} 404',
    async () => ask(usual, get(`/chat/stream/${await failed(usual, 'nobody')}`)),
  ],
  ['GET /chat/stream/{stream_id} 410', () => ask(usual, get('/chat/stream/never-was'))],
  tooLargeFor('GET', '/chat/stream/{stream_id}'),
  ['GET /chat/stream/{stream_id} 503', async () => ask(lonely, get(`/chat/stream/${await failed(lonely)}`))],
  [
    'GET /chat/stream/{stream_id} 504',
    () => {
      const { streamId } = hurried.streams.start({ content: 'Hallo', userId: 'u' });
      return ask(hurried, get(`/chat/stream/${streamId}`));
    },
  ],

  [
    'DELETE /chat/stream/{stream_id} 200',
    () => ask(usual, remove(`/chat/stream/${running(usual, 'stall?k=1').streamId}`)),
  ],
  ['DELETE /chat/stream/{stream_id} 403', () => ask(usual, remove('/chat/stream/x', evil))],
  ['DELETE /chat/stream/{stream_id} 404', () => ask(usual, remove('/chat/stream/never-was'))],
  tooLargeFor('DELETE', '/chat/stream/{stream_id}'),
  [
    'DELETE /chat/stream/{stream_id} 504',
    () => {
      const { streamId } = hurried.streams.start({ content: 'Hallo', userId: 'u', agent: 'mute' });
      return ask(hurried, remove(`/chat/stream/${streamId}`));
    },
  ],

  ['POST /tasks/{task} 200', () => ask(usual, post('/tasks/echo?wait=10000', { input: { text: 'x' } }))],
  ['POST /tasks/{task} 202', () => ask(usual, post('/tasks/echo', { input: { text: 'x' }, delay_ms: 1 }))],
  ['POST /tasks/{task} 400', () => ask(usual, post('/tasks/echo', { input: { text: 5 } }))],
  ['POST /tasks/{task} 400', () => ask(usual, post('/tasks/echo?wait=x', { input: { text: 'x' } }))],
  ['POST /tasks/{task} 403', () => ask(usual, post('/tasks/echo', {}, evil))],
  ['POST /tasks/{task} 404', () => ask(usual, post('/tasks/hidden', {}))],
  ['POST /tasks/{task} 409', cancelledWhileWaiting],
  tooLargeFor('POST', '/tasks/{task}'),
  ['POST /tasks/{task} 415', () => ask(usual, post('/tasks/echo', '<x/>', { 'content-type': 'text/xml' }))],
  ['POST /tasks/{task} 500', () => ask(usual, post('/tasks/fails?wait=10000', {}))],
  ['POST /tasks/{task} 503', whileTasksAreFull],
  ['POST /tasks/{task} 504', () => ask(usual, post('/tasks/slow?wait=10000', {}))],

  ['GET /tasks/{task} 200', () => ask(usual, get(`/tasks/${runs(usual, 'echo')}`))],
  ['GET /tasks/{task} 404', () => ask(usual, get('/tasks/never-was'))],
  tooLargeFor('GET', '/tasks/{task}'),

  ['DELETE /tasks/{task} 200', () => ask(usual, remove(`/tasks/${runs(usual, 'echo')}`))],
  ['DELETE /tasks/{task} 403', () => ask(usual, remove('/tasks/x', evil))],
  ['DELETE /tasks/{task} 404', () => ask(usual, remove('/tasks/never-was'))],
  tooLargeFor('DELETE', '/tasks/{task}'),
  ['DELETE /tasks/{task} 504', () => ask(hurried, remove(`/tasks/${runs(hurried, 'stuck')}`))],

  ...['/conversations', '/conversations/export'].flatMap((path) => [
    [
      `GET ${path} 200`,
      async () => {
        await remembered('lister');
        return ask(usual, get(`${path}?user_id=lister`));
      },
    ] as const,
    [`GET ${path} 400`, () => ask(usual, get(path))] as const,
    [`GET ${path} 503`, () => ask(forgetful, get(`${path}?user_id=u`))] as const,
    [`GET ${path} 504`, () => ask(hurried, get(`${path}?user_id=slow`))] as const,
    tooLargeFor('GET', path),
  ]),
  ...ofConversation('GET', '/messages'),
  ...ofConversation('GET', '/export'),
  ...ofConversation('DELETE', ''),
  [`DELETE ${conversation} 403`, () => ask(usual, remove('/conversations/c?user_id=u', evil))],
  ['GET /v1/models 200', () => ask(usual, get('/v1/models'))],
  tooLargeFor('GET', '/v1/models'),
  ['GET /v1/models 504', () => ask(hurried, get('/v1/models'))],
  ['GET /v1/models/{model} 200', () => ask(usual, get('/v1/models/ollama%2Fllama3.2'))],
  ['GET /v1/models/{model} 404', () => ask(usual, get('/v1/models/nobody'))],
  tooLargeFor('GET', '/v1/models/{model}'),
  ['GET /v1/models/{model} 504', () => ask(hurried, get('/v1/models/mute%2Fx'))],
  ...badCompletion('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hallo' }] }),
  ...badCompletion('/v1/completions', { prompt: 'Hallo' }),

  ['GET /ws/{client_id} 101', upgraded],
  ['GET /ws/{client_id} 400', () => ask(usual, get('/ws/a%20b', handshake))],
  ['GET /ws/{client_id} 403', () => ask(usual, get('/ws/a', { ...handshake, ...evil }))],
  ['GET /ws/{client_id} 404', () => ask(usual, get('/ws/a%2fb', handshake))],
  ['GET /ws/{client_id} 426', () => ask(usual, get('/ws/a'))],
];

describe('the documented answers', () => {
  it('are those that there are scenarios for', () => {
    expect([...new Set(scenarios.map(([name]) => name))].sort()).toEqual([...document.answers].sort());
  });

  it.each(scenarios)('%s occurs as documented', async (name, run) => {
    expect(await run()).toBe(name);
  });

  it('are the only ones, also for odd requests', async () => {
    const odd = fc.constantFrom('x', '%', '%ff', '%00', '%2e%2e%2f', '..', '~', '{x}', 'x'.repeat(200));
    const path = fc
      .tuple(
        fc.constantFrom(
          ...document.answers.map((name) => name.split(' ')[1] as string),
          '/nowhere',
          '/chat/',
        ),
        odd,
        fc.constantFrom(
          '',
          '',
          '/',
          '?position=1',
          '?position=%ff',
          '?x',
          '?user_id=u',
          '?user_id=u&limit=0',
        ),
      )
      .map(([template, value, rest]) => template.replace(/\{\w+\}/g, () => value) + rest);
    const headers = fc.record(
      {
        'content-type': fc.constantFrom('application/json', 'text/plain', '', 'application/x+json', ';'),
        accept: fc.constantFrom('application/x-ndjson', 'text/html', '*/*', ''),
        origin: fc.constantFrom('https://evil.example', 'null', 'http://localhost:1', ''),
        upgrade: fc.constantFrom('websocket', 'h2c'),
        'last-event-id': fc.constantFrom('0', '-1', 'x'),
        'x-request-id': fc.constantFrom('a', 'a b', 'x'.repeat(300)),
        expect: fc.constant('100-continue'),
      },
      { requiredKeys: [] },
    );
    const fields = fc.record(
      {
        content: fc.oneof(fc.string(), fc.constant(null)),
        user_id: fc.oneof(fc.string(), fc.integer()),
        agent: fc.constantFrom('eliza', 'ollama', 'nobody', 'queen', ''),
        model: fc.constantFrom('normal?n=3', 'http-404', 'html-200', 'thinking', 'nosuch'),
        options: fc.oneof(fc.record({ seed: fc.integer() }), fc.json()),
        request_id: fc.constantFrom('a', 'b'),
        conversation_id: fc.constantFrom('c', ''),
        extra: fc.constant(1),
      },
      { requiredKeys: ['content', 'user_id'] },
    );
    const body = fc.oneof(
      { weight: 3, arbitrary: fields.map((value) => JSON.stringify(value)) },
      { weight: 1, arbitrary: fc.json() },
      { weight: 1, arbitrary: fc.string() },
      { weight: 1, arbitrary: fc.constant('['.repeat(100)) },
    );
    const method = fc.constantFrom('GET', 'POST', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS');
    const request = fc.record({ method, path, headers, body }).map(({ body, ...head }): Call => {
      const sends = head.method === 'POST' || head.method === 'PUT' || head.method === 'PATCH';
      return sends ? { ...head, body } : head;
    });
    await fc.assert(
      fc.asyncProperty(request, async (each) => void (await ask(usual, each))),
      { numRuns: times(500) },
    );
  });
});

describe('the documented frames', () => {
  it('are those that come and go over a WebSocket', async () => {
    const hive = await start({ config: { 'streams-memory': { maxRunning: 1 } } });
    // biome-ignore lint/suspicious/noExplicitAny: a document is plain JSON
    const frames: any = await (await fetch(`${hive.url}/asyncapi.json`)).json();
    const { messages } = frames.channels['/ws/{client_id}'];
    const client = await WsClient.connect(`${hive.ws}/docs`);
    const sent: { readonly type: string }[] = [];
    const send = (frame: { readonly type: string; readonly [field: string]: unknown }) => {
      sent.push(frame);
      client.send(frame);
    };
    const ended = async (requestId: string) => {
      const { streamId } = await client.until((frame) => frame.requestId === requestId);
      const terminal = /^(streaming_end|message|cancelled|error)$/;
      await client.until((frame) => terminal.test(frame.type) && frame.streamId === streamId);
    };
    const stream = (requestId: string, more: object) =>
      send({ type: 'stream_request', content: 'Hallo', requestId, ...more });

    send({ type: 'ping' });
    send({ type: 'auth', token: 'any' });
    send({ type: 'message', content: 'Hallo', requestId: 'whole', agent: 'eliza' });
    await client.end('whole');
    stream('thinking', { model: 'thinking', agent: 'ollama', positions: true });
    await ended('thinking');
    stream('tool', { model: 'tool-early', agent: 'ollama', options: { seed: 1 } });
    await ended('tool');
    stream('broken', { model: 'fin-cut?k=2', agent: 'ollama' });
    await ended('broken');
    stream('nobody', { agent: 'nobody', conversationId: 'c', priority: 'high' });
    await client.end('nobody');
    stream('fallback', { model: 'html-200' });
    await ended('fallback');
    client.send('{"type":"stream_request"}');
    await client.until((frame) => frame.code === 'INVALID_FRAME');

    stream('stalled', { model: 'stall?k=1', onDisconnect: 'cancel' });
    const { streamId } = await client.until(
      (frame) => frame.type === 'streaming_start' && frame.requestId === 'stalled',
    );
    stream('waiting', {});
    await client.until((frame) => frame.type === 'queue_update');
    send({ type: 'resume', streamId, position: 0, positions: true });
    await client.until((frame) => frame.resumed === true);
    send({ type: 'cancel', streamId });
    await client.until((frame) => frame.type === 'cancelled');
    await ended('waiting');
    send({
      type: 'task',
      task: 'echo',
      input: { text: 'x' },
      requestId: 'echo',
      priority: 'high',
      timeoutMs: 1000,
    });
    await client.until((frame) => frame.type === 'task_result');
    send({ type: 'task', task: 'parts' });
    const { taskId } = await client.until((frame) => frame.type === 'task_progress');
    send({ type: 'task', task: 'parts', requestId: 'second' });
    await client.until((frame) => frame.type === 'queue_update' && frame.requestId === 'second');
    send({ type: 'cancel_task', taskId });
    await client.until((frame) => frame.code === 'TASK_CANCELLED');
    send({ type: 'cancel_task', taskId: 'never-was' });
    await client.until((frame) => frame.code === 'TASK_UNKNOWN');
    const { taskId: second } = await client.until((frame) => frame.requestId === 'second');
    send({ type: 'cancel_task', taskId: second });
    send({ type: 'greet', text: 'Hi' });
    const own = client.frames.indexOf(await client.until((frame) => frame.type === 'greet'));
    // In its own words, which the task alone knows.
    client.frames.splice(own, 1);
    stream('last', { model: 'stall?k=1' });
    const last = await client.until((frame) => frame.requestId === 'last');
    const stopped = hive.stop();
    await client.until((frame) => frame.type === 'server_draining');
    send({ type: 'cancel', streamId: last.streamId });
    await client.closed;
    await stopped;

    const judge = (action: string, all: readonly { readonly type: string }[]) => {
      const documented = Object.keys(messages).filter(
        // Only where credentials end: see the contract of access.
        (key) => key.startsWith(`${action}.`) && key !== 'send.auth_expiring',
      );
      const validators = new Map(documented.map((key) => [key, strictValidator(messages[key].payload)]));
      for (const frame of all) {
        const validate = validators.get(`${action}.${frame.type}`);
        if (!validate?.(frame))
          expect.fail(`${action} ${JSON.stringify(frame)}: ${JSON.stringify(validate?.errors)}`);
      }
      expect([...new Set(all.map((frame) => `${action}.${frame.type}`))].sort()).toEqual(documented.sort());
    };
    judge('send', client.frames);
    judge('receive', sent);
  });
});
