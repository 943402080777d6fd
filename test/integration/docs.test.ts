import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type AgentHealth,
  BaseAgent,
  Clients,
  type ConversationKey,
  ConversationStore,
  definePlugin,
  type Embeddings,
  type EmbedRequest,
  type Plugin,
  type TaskRun,
  WaggleError,
} from '#kernel';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import endpointDocs from '../../plugins/endpoint-docs/index.js';
import endpointMetrics from '../../plugins/endpoint-metrics/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import notifyWebhook from '../../plugins/notify-webhook/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { accessPlugin } from '../support/access.js';
import { ApiDocument, strictValidator } from '../support/api-document.js';
import { eventually } from '../support/eventually.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, type HiveOptions, startHive } from '../support/hive.js';
import { deferred } from '../support/kernel.js';
import { RawClient } from '../support/raw-client.js';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
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

/** Makes vectors, or fails as the model's name says. */
class Vectors extends BaseAgent {
  readonly name = 'vectors';
  readonly #failures: Readonly<Record<string, WaggleError>> = {
    'failed-429': new WaggleError('AGENT_UNAVAILABLE', { agent: 'vectors', why: 'full', busy: 429 }),
    'failed-500': new WaggleError('AGENT_FAILED', { agent: 'vectors', why: 'it broke' }),
    'failed-502': new WaggleError('AGENT_PROTOCOL', { agent: 'vectors', why: 'not JSON' }),
    'failed-503': new WaggleError('AGENT_UNAVAILABLE', { agent: 'vectors', why: 'away' }),
  };

  // biome-ignore lint/correctness/useYield: it only makes vectors
  async *generateResponseStream(): AsyncGenerator<never> {
    throw new Error('it does not chat');
  }

  async embed({ input, model = '' }: EmbedRequest): Promise<Embeddings> {
    if (model === 'slow') await over.promise;
    const failure = this.#failures[model];
    if (failure) throw failure;
    return { embeddings: input.map(() => [0.5, -1]), usage: { inputTokens: 3, outputTokens: 0 } };
  }
}

const vectors: Plugin = definePlugin({
  name: 'vectors',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new Vectors()),
});

const mute: Plugin = definePlugin({
  name: 'mute',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new Mute()),
});

/** An agent that asks another one, and uses a tool of the server and one of the client. */
const acting: Plugin = definePlugin({
  name: 'acting',
  apiVersion: 1,
  setup(ctx) {
    const tool = { approval: 'ask' } as const;
    ctx.registerTask({ name: 'asked', lane: 'main', tool, input: z.object({}), run: () => 1 });
    ctx.addAgent(
      new ScriptedModel('actor', async function* (request, call) {
        await call.ask('eliza', { messages: [{ role: 'user', content: 'Hallo' }] });
        yield* call.useTools(['asked'], request, async function* ({ messages }) {
          const isOver = messages.some(({ role }) => role === 'tool');
          yield isOver ? say('Done.') : [use('asked', {}, 'c1'), use('theirs', {}, 'c2')];
          yield { type: 'done', reason: 'stop' };
        });
      }),
    );
  },
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
    const all = { read: refuse, append: refuse, delete: refuse, list: refuse };
    ctx.provide(ConversationStore, { ...all, page: refuse, rename: refuse, replace: refuse, search: refuse });
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
    const answerTo = async <T>({ userId, conversationId }: ConversationKey, value: T): Promise<T> =>
      answer(conversationId === 'resp_slow' ? 'slow' : userId, value);
    ctx.provide(ConversationStore, {
      read: (key) => answerTo(key, []),
      append: (key) => answerTo(key, undefined),
      delete: (key) => answerTo(key, false),
      list: (userId) => answer(userId, []),
      page: (key) => answerTo(key, []),
      rename: (key) => answerTo(key, false),
      replace: (key) => answerTo(key, true),
      search: (userId) => answer(userId, { hits: [], complete: true }),
    });
  },
});

/** Does no more than a store has to. */
const poorStore: Plugin = definePlugin({
  name: 'poor-store',
  apiVersion: 1,
  provides: [ConversationStore],
  setup(ctx) {
    const nothing = async () => [];
    ctx.provide(ConversationStore, {
      ...{ read: nothing, list: nothing },
      append: async () => undefined,
      delete: async () => false,
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
/** Two small bodies at once are too much for it. */
let crowded: Hive;
let document: ApiDocument;
let folder: string;
let uiVersion: string;

const endpoints = [
  endpointOverview,
  endpointDocs,
  endpointConversations,
  endpointMetrics,
  notifyWebhook,
  uiWeb,
];
const start = ({ config, plugins = [], ...more }: HiveOptions) =>
  startHive({ fake, config: { ...config }, plugins: [...endpoints, tasks, vectors, ...plugins], ...more });

beforeAll(async () => {
  fake = await startFakeOllama();
  usual = await start({
    config: {
      transport: { bodyLimitBytes },
      'endpoint-chat': { bodyLimitBytes },
      'endpoint-completions': { bodyLimitBytes },
      'endpoint-responses': { bodyLimitBytes },
      'endpoint-messages': { bodyLimitBytes },
      'endpoint-ollama': { bodyLimitBytes },
      'endpoint-embeddings': { bodyLimitBytes },
      'endpoint-conversations': { bodyLimitBytes },
      'agent-queen': { busyTimeoutMs: 0 },
    },
  });
  hurried = await start({
    store: slowStore,
    plugins: [mute],
    config: {
      transport: { requestTimeoutMs: 100 },
      'endpoint-chat': { replyTimeoutMs: 100, startTimeoutMs: 100 },
      'endpoint-completions': { replyTimeoutMs: 100 },
      'endpoint-responses': { replyTimeoutMs: 100 },
      'endpoint-messages': { replyTimeoutMs: 100 },
      'endpoint-ollama': { replyTimeoutMs: 100 },
      'endpoint-embeddings': { replyTimeoutMs: 100 },
      'agent-queen': { candidates: ['mute'], healthTimeoutMs: 60_000 },
      // Whoever is told to stop has all the time to do so.
      'tasks-tinypool': { cancelGraceMs: 60_000 },
    },
  });
  lonely = await start({
    store: poorStore,
    config: {
      'agent-queen': { candidates: ['nobody'] },
      'streams-memory': { maxRunning: 1, maxWaiting: 0 },
    },
  });
  forgetful = await start({ store: fullStore });
  closed = await start({ plugins: [accessPlugin()] });
  crowded = await start({ config: { transport: { bodiesLimitBytes: 1000 } } });
  document = new ApiDocument(await (await fetch(`${usual.url}/openapi.json`)).json());
  const page = await (await fetch(`${usual.url}/docs`)).text();
  folder = /"\/docs\/(\w+)\//.exec(page)?.[1] as string;
  uiVersion = /"\/ui\/(\w+)\//.exec(await (await fetch(`${usual.url}/ui`)).text())?.[1] as string;
});
afterAll(async () => {
  over.resolve();
  await Promise.all([usual, hurried, lonely, forgetful, closed, crowded].map((hive) => hive.close()));
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
  await hive.streams.start({ content: 'Hallo', userId: 'u', agent, model });
  const { streams } = await (await fetch(`${hive.url}/ui/state`)).json();
  return ask(hive, remove(`/ui/replies/${streams.replies[0].number}`));
}

/** A reply that has failed before it began. */
async function failed(hive: Hive, agent?: string): Promise<string> {
  const reply = await hive.streams.start({ content: 'Hallo', userId: 'u', agent });
  await expect(reply.whole()).rejects.toThrow();
  return reply.streamId;
}

async function resumed(accept: string): Promise<string> {
  const reply = await running(usual, 'thinking');
  await reply.whole();
  return ask(usual, get(`/chat/stream/${reply.streamId}?position=2`, { accept }));
}

/** A run that has not ended when this resolves. */
const runs = async (hive: Hive, name: string) => (await hive.tasks.submit(name, { text: 'x' })).id;

async function whileTasksAreFull(): Promise<string> {
  const all = [await runs(usual, 'parts'), await runs(usual, 'parts')];
  const name = await ask(usual, post('/tasks/parts', { input: {} }));
  for (const id of all) await (await usual.tasks.find(id))?.cancel();
  return name;
}

async function cancelledWhileWaiting(): Promise<string> {
  const answer = ask(usual, post('/tasks/parts?wait=10000', { user_id: 'u', request_id: 'c' }));
  let run: TaskRun | undefined;
  while (!run?.attempts) {
    await new Promise((resolve) => setImmediate(resolve));
    if (usual.tasks.countsOf('parts')?.running)
      run = await usual.tasks.submit('parts', {}, { owner: 'u', idempotencyKey: 'c' });
  }
  await run.cancel();
  return answer;
}

async function whileDraining(): Promise<string> {
  const hive = await start({});
  await running(hive, 'stall?k=1');
  const stopped = hive.stop();
  const name = await ask(hive, get('/ready'));
  for (const reply of hive.streams.list()) void reply.cancel('client');
  await stopped;
  return name;
}

async function whileFull(path: string, body: object = question()): Promise<string> {
  const reply = await running(lonely, 'stall?k=1');
  const name = await ask(lonely, post(path, body));
  await reply.cancel('client');
  return name;
}

async function upgraded(path = '/ws/docs'): Promise<string> {
  const client = await WsClient.connect(`${usual.url.replace('http', 'ws')}${path}`);
  await client.close();
  return document.judge('GET', path, { status: 101, headers: {}, text: '' });
}

/** The path of a response that has ended. */
async function responded(hive = usual): Promise<string> {
  const asked = post('/v1/responses', { model: 'eliza', input: 'Hallo' });
  const { text } = await call(Number(new URL(hive.url).port), asked);
  return `/v1/responses/${JSON.parse(text).id}`;
}

const ofResponse = (method: string, rest: string): readonly (readonly [string, () => Promise<string>])[] => {
  const name = `${method} /v1/responses/{response_id}${rest}`;
  const request = (path: string): Call => ({ method, path: `${path}${rest}` });
  return [
    [`${name} 200`, async () => ask(usual, request(await responded()))],
    [`${name} 404`, () => ask(usual, request('/v1/responses/resp_x'))],
    [`${name} 503`, () => ask(forgetful, request('/v1/responses/resp_x'))],
    [`${name} 504`, () => ask(hurried, request('/v1/responses/resp_slow'))],
    tooLargeFor(method, `/v1/responses/{response_id}${rest}`),
  ];
};

/** The events of a response that is stored, and whose log is gone. */
async function forgotten(): Promise<string> {
  const hive = await start({ config: { 'streams-memory': { keepMs: 1 } } });
  const path = await responded(hive);
  await expect.poll(() => hive.streams.stats.kept).toBe(0);
  const name = await ask(hive, get(`${path}?stream=true`));
  await hive.close();
  return name;
}

/** Two requests with one key. */
async function again(requestOf: (content: string) => Call, hive = usual): Promise<string> {
  await ask(hive, requestOf('Hallo'));
  return ask(hive, requestOf('Hello'));
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
  const reply = await usual.streams.start({
    content: 'Hallo',
    userId: user,
    conversationId: 'c',
    agent: 'eliza',
  });
  await reply.whole();
}

const conversation = '/conversations/{conversation_id}';
const ofConversation = (
  method: string,
  rest: string,
  body?: object,
): readonly (readonly [string, () => Promise<string>])[] => {
  const name = `${method} ${conversation}${rest}`;
  const path = (id: string, user: string) => `/conversations/${id}${rest}?user_id=${user}`;
  const request = (path: string): Call => (body ? { ...post(path, body), method } : { method, path });
  return [
    [
      `${name} 200`,
      async () => {
        await remembered(name.length.toString());
        return ask(usual, request(path('c', name.length.toString())));
      },
    ],
    [`${name} 400`, () => ask(usual, request(`/conversations/c${rest}`))],
    [`${name} 404`, () => ask(usual, request(path('c', 'nobody')))],
    [`${name} 404`, () => ask(usual, request(path('a%2fb', 'u')))],
    [`${name} 503`, () => ask(forgetful, request(path('c', 'u')))],
    [`${name} 504`, () => ask(hurried, request(path('c', 'slow')))],
    tooLargeFor(method, `${conversation}${rest}`),
  ];
};

/** Changes of a turn: by a path or a body for the number of its question and its time. */
const ofTurn = (
  name: string,
  request: (path: string, number: unknown, at: unknown) => Call,
): readonly (readonly [string, () => Promise<string>])[] => {
  const to = (user: string, number: unknown = 1, at: unknown = 1) =>
    request(`/conversations/c?user_id=${user}`, number, at);
  return [
    [
      `${name} 200`,
      async () => {
        const user = name.replace(/\W/g, '');
        await remembered(user);
        const store = usual.kernel.get(ConversationStore);
        const key = { userId: user, conversationId: 'c' };
        const [first] = (await store.page?.(key, { limit: 9 })) ?? [];
        const { number = 0, message } = first ?? {};
        // A version for each of the tests.
        const versions = [[{ role: 'user', content: 'before', at: 1 }]] as const;
        await store.replace?.(key, number, [{ role: 'user', content: 'now', ...message, versions }]);
        const [again] = (await store.page?.(key, { limit: 9 })) ?? [];
        return ask(usual, to(user, again?.number));
      },
    ],
    [`${name} 400`, () => ask(usual, to('u', 'x'))],
    [`${name} 404`, () => ask(usual, to('nobody'))],
    [`${name} 403`, () => ask(usual, { ...to('u'), headers: { ...to('u').headers, ...evil } })],
    [`${name} 501`, () => ask(lonely, to('u'))],
    [`${name} 503`, () => ask(forgetful, to('u'))],
    [`${name} 504`, () => ask(hurried, to('slow'))],
  ];
};
const deletedTurn = (path: string, number: unknown): Call =>
  remove(path.replace('/c?', `/c/messages/${number}?`));
const shownVersion = (path: string, number: unknown, at: unknown): Call =>
  post(path.replace('/c?', '/c/versions?'), { number, at });

const rename = (path: string): Call => ({ ...post(path, { title: 'new' }), method: 'PATCH' });
const imports = (user: string, id = 'c'): Call =>
  post(`/conversations/import?user_id=${user}`, { conversation_id: id, role: 'user', content: 'x' });

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
    of(400, () => ask(usual, post(path, body('eliza', { max_output_tokens: 0, n: 2 })))),
    of(400, () => ask(usual, post(path, '{'))),
    of(403, () => ask(usual, post(path, body('eliza'), evil))),
    of(404, () => ask(usual, post(path, body('nobody')))),
    of(404, () => ask(usual, post(path, body('ollama/nosuch', { stream: true })))),
    of(409, () =>
      again((content) => {
        const [field = ''] = Object.keys(asked);
        const other = { [field]: field === 'messages' ? [{ role: 'user', content }] : content };
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

/** The same with the bodies of Anthropic's API. */
const messageScenarios = (): readonly (readonly [string, () => Promise<string>])[] => {
  const path = '/v1/messages';
  const count = `${path}/count_tokens`;
  const body = (model: string, more: object = {}) => ({
    messages: [{ role: 'user', content: 'Hallo' }],
    thinking: { type: 'adaptive' },
    max_tokens: 100,
    model,
    ...more,
  });
  const on = (at: string, status: number, run: () => Promise<string>) =>
    [`POST ${at} ${status}`, run] as const;
  const of = (status: number, run: () => Promise<string>) => on(path, status, run);
  return [
    ...['ollama/normal', 'ollama/tool-late', 'ollama/thinking', 'ollama/fin-cut?k=2', 'eliza'].map((model) =>
      of(200, () => ask(usual, post(path, body(model, { stream: true })))),
    ),
    ...['ollama/normal', 'ollama/tool-late', 'ollama/thinking', 'queen'].map((model) =>
      of(200, () => ask(usual, post(path, body(model)))),
    ),
    of(409, () =>
      again((content) =>
        post(path, body('eliza', { messages: [{ role: 'user', content }], metadata: { user_id: 'u' } }), {
          'idempotency-key': `409${path}`,
        }),
      ),
    ),
    of(502, () => ask(usual, post(path, body('ollama/error-first')))),
    of(502, () => ask(usual, post(path, body('ollama/fin-cut?k=2')))),
    of(529, () => whileFull(path, body('eliza'))),
    of(429, () => ask(usual, post(path, body('ollama/http-429')))),
    of(529, () => ask(usual, post(path, body('ollama/http-503')))),
    of(504, () => ask(hurried, post(path, body('mute')))),
    on(count, 200, () => ask(usual, post(count, body('eliza')))),
    ...[path, count].flatMap((at) => [
      on(at, 400, () => ask(usual, post(at, body('eliza', { messages: 1 })))),
      on(at, 400, () => ask(usual, post(at, '{'))),
      on(at, 403, () => ask(usual, post(at, body('eliza'), evil))),
      on(at, 404, () => ask(usual, post(at, body('nobody')))),
      tooLargeFor('POST', at),
      on(at, 415, () => ask(usual, post(at, '<x/>', { 'content-type': 'application/xml' }))),
    ]),
  ];
};

type Scenario = readonly [string, () => Promise<string>];

/** Statuses of a request of Ollama's API whose body is checked. */
const badForOllama = (path: string, asked: object): readonly Scenario[] => {
  const body = (model: string, more: object = {}) => ({ ...asked, model, ...more });
  const of = (status: number, run: () => Promise<string>): Scenario => [`POST ${path} ${status}`, run];
  return [
    of(400, () => ask(usual, post(path, {}))),
    of(400, () => ask(usual, post(path, ''))),
    of(400, () => ask(usual, post(path, body('eliza', { model: 5 })))),
    of(403, () => ask(usual, post(path, body('eliza'), evil))),
    of(404, () => ask(usual, post(path, body('nobody')))),
    tooLargeFor('POST', path),
    of(415, () => ask(usual, post(path, '<x/>', { 'content-type': 'application/xml' }))),
  ];
};

/** The same for an answer. */
const answersOfOllama = (path: string, asked: object): readonly Scenario[] => {
  const body = (model: string, more: object = {}) => ({ ...asked, model, ...more });
  const of = (status: number, run: () => Promise<string>): Scenario => [`POST ${path} ${status}`, run];
  return [
    ...badForOllama(path, asked),
    ...['ollama/normal', 'ollama/tool-late', 'ollama/thinking', 'ollama/fin-cut?k=2', 'eliza'].map((model) =>
      of(200, () => ask(usual, post(path, body(model)))),
    ),
    ...['ollama/normal', 'ollama/tool-late', 'ollama/thinking', 'queen'].map((model) =>
      of(200, () => ask(usual, post(path, body(model, { stream: false })))),
    ),
    of(200, () => ask(usual, post(path, { model: 'queen', keep_alive: 0 }))),
    of(404, () => ask(usual, post(path, body('ollama/nosuch')))),
    of(409, () =>
      again((word) => {
        const other = 'prompt' in asked ? { prompt: word } : { messages: [{ role: 'user', content: word }] };
        const key = { authorization: 'Bearer token-of-ann', 'idempotency-key': `409${path}` };
        return post(path, { ...other, model: 'eliza' }, key);
      }, closed),
    ),
    of(500, () => ask(usual, post(path, body('ollama/error-first')))),
    of(502, () => ask(usual, post(path, body('ollama/fin-cut?k=2', { stream: false })))),
    of(503, () => whileFull(path, body('eliza'))),
    of(429, () => ask(usual, post(path, body('ollama/http-429')))),
    of(503, () => ask(usual, post(path, body('ollama/http-503')))),
    of(504, () => ask(hurried, post(path, body('mute')))),
  ];
};

/** Statuses of a request for embeddings. */
const vectorsOf = (path: string, asked: object): readonly Scenario[] => {
  const of = (status: number, run: () => Promise<string>): Scenario => [`POST ${path} ${status}`, run];
  const model = (name: string, hive = usual) => ask(hive, post(path, { ...asked, model: name }));
  return [
    of(200, () => model('vectors')),
    of(400, () => model('eliza')),
    ...[429, 500, 502, 503].map((status) => of(status, () => model(`vectors/failed-${status}`))),
    of(504, () => model('vectors/slow', hurried)),
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
      '/webhooks',
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

  ...['/notifications', '/users/{user_id}/notifications'].flatMap((template) => {
    const path = template.replace('{user_id}', 'ann');
    const note = { topic: 'news', data: { any: 'JSON' } };
    return [
      [`POST ${template} 202`, () => ask(usual, post(path, note))] as const,
      [`POST ${template} 400`, () => ask(usual, post(path, { topic: '' }))] as const,
      [`POST ${template} 403`, () => ask(usual, post(path, note, evil))] as const,
      [
        `POST ${template} 415`,
        () => ask(usual, post(path, '<x/>', { 'content-type': 'application/xml' })),
      ] as const,
      tooLargeFor('POST', template),
    ];
  }),
  [
    'POST /users/{user_id}/notifications 404',
    () => ask(usual, post('/users/%ff/notifications', { topic: 'x' })),
  ],

  ['POST /chat/stream 200', () => ask(usual, post('/chat/stream', question({ model: 'tool-early' })))],
  ...badChat('/chat/stream'),
  ['POST /chat/stream 504', () => ask(hurried, post('/chat/stream', question()))],

  ['GET /chat/stream/{stream_id} 200', () => resumed('application/x-ndjson')],
  ['GET /chat/stream/{stream_id} 200', () => resumed('text/event-stream')],
  [
    'GET /chat/stream/{stream_id} 204',
    async () => {
      const reply = await running(usual, 'normal?n=3');
      for await (const _ of reply.read());
      return ask(usual, get(`/chat/stream/${reply.streamId}`, { 'last-event-id': String(reply.position) }));
    },
  ],
  [
    'GET /chat/stream/{stream_id} 400',
    async () => {
      const { streamId } = await running(usual, 'normal');
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
    async () => {
      const { streamId } = await hurried.streams.start({ content: 'Hallo', userId: 'u' });
      return ask(hurried, get(`/chat/stream/${streamId}`));
    },
  ],

  [
    'DELETE /chat/stream/{stream_id} 200',
    async () => ask(usual, remove(`/chat/stream/${(await running(usual, 'stall?k=1')).streamId}`)),
  ],
  ['DELETE /chat/stream/{stream_id} 403', () => ask(usual, remove('/chat/stream/x', evil))],
  ['DELETE /chat/stream/{stream_id} 404', () => ask(usual, remove('/chat/stream/never-was'))],
  tooLargeFor('DELETE', '/chat/stream/{stream_id}'),
  [
    'DELETE /chat/stream/{stream_id} 504',
    async () => {
      const { streamId } = await hurried.streams.start({ content: 'Hallo', userId: 'u', agent: 'mute' });
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

  ['GET /tasks/{task} 200', async () => ask(usual, get(`/tasks/${await runs(usual, 'echo')}`))],
  ['GET /tasks/{task} 404', () => ask(usual, get('/tasks/never-was'))],
  tooLargeFor('GET', '/tasks/{task}'),

  ['DELETE /tasks/{task} 200', async () => ask(usual, remove(`/tasks/${await runs(usual, 'echo')}`))],
  ['DELETE /tasks/{task} 403', () => ask(usual, remove('/tasks/x', evil))],
  ['DELETE /tasks/{task} 404', () => ask(usual, remove('/tasks/never-was'))],
  tooLargeFor('DELETE', '/tasks/{task}'),
  ['DELETE /tasks/{task} 504', async () => ask(hurried, remove(`/tasks/${await runs(hurried, 'stuck')}`))],

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
  [
    `GET ${conversation}/messages 501`,
    () => ask(lonely, get('/conversations/c/messages?user_id=u&before=1')),
  ],
  ...ofConversation('PATCH', '', { title: 'new' }),
  [`PATCH ${conversation} 403`, () => ask(usual, { ...rename('/conversations/c?user_id=u'), headers: evil })],
  [
    `PATCH ${conversation} 415`,
    () => ask(usual, { ...rename('/conversations/c?user_id=u'), headers: { 'content-type': 'image/png' } }),
  ],
  [`PATCH ${conversation} 501`, () => ask(lonely, rename('/conversations/c?user_id=u'))],
  ...ofTurn(`DELETE ${conversation}/messages/{number}`, deletedTurn),
  tooLargeFor('DELETE', `${conversation}/messages/{number}`),
  ...ofTurn(`POST ${conversation}/versions`, shownVersion),
  tooLargeFor('POST', `${conversation}/versions`),
  [
    `POST ${conversation}/versions 415`,
    () =>
      ask(usual, {
        ...shownVersion('/conversations/c?user_id=u', 1, 1),
        headers: { 'content-type': 'image/png' },
      }),
  ],
  ['GET /conversations/search 200', () => ask(usual, get('/conversations/search?user_id=u&q=hallo'))],
  ['GET /conversations/search 400', () => ask(usual, get('/conversations/search?user_id=u'))],
  ['GET /conversations/search 501', () => ask(lonely, get('/conversations/search?user_id=u&q=x'))],
  ['GET /conversations/search 503', () => ask(forgetful, get('/conversations/search?user_id=u&q=x'))],
  ['GET /conversations/search 504', () => ask(hurried, get('/conversations/search?user_id=slow&q=x'))],
  tooLargeFor('GET', '/conversations/search'),
  ['POST /conversations/import 200', () => ask(usual, imports('u'))],
  ['POST /conversations/import 400', () => ask(usual, post('/conversations/import?user_id=u', { no: 'id' }))],
  ['POST /conversations/import 403', () => ask(usual, { ...imports('u'), headers: evil })],
  [
    'POST /conversations/import 409',
    async () => {
      await ask(hurried, imports('u', 'resp_slow'));
      return ask(hurried, imports('u', 'resp_slow'));
    },
  ],
  [
    'POST /conversations/import 415',
    () => ask(usual, { ...imports('u'), headers: { 'content-type': 'image/png' } }),
  ],
  ['POST /conversations/import 503', () => ask(forgetful, imports('u'))],
  ['POST /conversations/import 504', () => ask(hurried, imports('slow'))],
  tooLargeFor('POST', '/conversations/import'),
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

  ...['/api/version', '/api/tags', '/api/ps'].flatMap((path): readonly Scenario[] => [
    [`GET ${path} 200`, () => ask(usual, get(path))],
    tooLargeFor('GET', path),
  ]),
  ['GET /api/tags 504', () => ask(hurried, get('/api/tags'))],
  ['POST /api/show 200', () => ask(usual, post('/api/show', { model: 'ollama/llama3.2:latest' }))],
  ...badForOllama('/api/show', {}),
  ['POST /api/show 504', () => ask(hurried, post('/api/show', { model: 'mute/x' }))],
  ...answersOfOllama('/api/chat', { messages: [{ role: 'user', content: 'Hallo' }] }),
  ...answersOfOllama('/api/generate', { prompt: 'Hallo' }),
  ...badForOllama('/api/embed', { input: 'Hallo' }),
  ...vectorsOf('/api/embed', { input: 'Hallo' }),
  ...badForOllama('/api/embeddings', { prompt: 'Hallo' }),
  ...vectorsOf('/api/embeddings', { prompt: 'Hallo' }),
  ...badForOllama('/v1/embeddings', { input: 'Hallo' }),
  ...vectorsOf('/v1/embeddings', { input: 'Hallo' }),
  ...['POST /api/pull', 'POST /api/push', 'POST /api/create', 'POST /api/copy', 'DELETE /api/delete']
    .concat('GET /api/blobs/{digest}', 'POST /api/blobs/{digest}')
    .flatMap((route): readonly Scenario[] => {
      const [method = '', template = ''] = route.split(' ');
      const path = template.replace('{digest}', 'sha256:x');
      return [
        [`${route} 501`, () => ask(usual, { method, path })],
        tooLargeFor(method, template),
        ...(path === template
          ? []
          : [[`${route} 404`, () => ask(usual, { method, path: '/api/blobs/a%2fb' })] as const]),
        ...(method === 'GET'
          ? []
          : [[`${route} 403`, () => ask(usual, { method, path, headers: evil })] as const]),
      ];
    }),
  ...badCompletion('/v1/responses', { input: 'Hallo' }),
  ...badCompletion('/v1/responses/compact', { input: 'Hallo' }).filter(([name]) => !/ (200|400)$/.test(name)),
  [
    'POST /v1/responses/compact 200',
    () => ask(usual, post('/v1/responses/compact', { model: 'ollama/normal', input: 'Hallo' })),
  ],
  ['POST /v1/responses/compact 400', () => ask(usual, post('/v1/responses/compact', { input: 'Hallo' }))],
  ['GET /v1/responses 101', () => upgraded('/v1/responses')],
  [
    'GET /v1/responses 400',
    () => ask(usual, get('/v1/responses', { ...handshake, 'sec-websocket-key': 'x' })),
  ],
  ['GET /v1/responses 403', () => ask(usual, get('/v1/responses', { ...handshake, ...evil }))],
  ['GET /v1/responses 426', () => ask(usual, get('/v1/responses'))],
  ...ofResponse('GET', ''),
  ['GET /v1/responses/{response_id} 200', async () => ask(usual, get(`${await responded()}?stream=true`))],
  ['GET /v1/responses/{response_id} 400', () => ask(usual, get('/v1/responses/resp_x?stream=maybe'))],
  ['GET /v1/responses/{response_id} 410', forgotten],
  ...ofResponse('DELETE', ''),
  ['DELETE /v1/responses/{response_id} 403', () => ask(usual, remove('/v1/responses/resp_x', evil))],
  ...ofResponse('GET', '/input_items'),
  [
    'GET /v1/responses/{response_id}/input_items 400',
    () => ask(usual, get('/v1/responses/resp_x/input_items?limit=1000')),
  ],
  ...ofResponse('POST', '/cancel'),
  [
    'POST /v1/responses/{response_id}/cancel 403',
    () => ask(usual, post('/v1/responses/resp_x/cancel', {}, evil)),
  ],
  ...messageScenarios(),

  ['GET /ws/{client_id} 101', upgraded],
  ['GET /ws/{client_id} 400', () => ask(usual, get('/ws/a%20b', handshake))],
  ['GET /ws/{client_id} 403', () => ask(usual, get('/ws/a', { ...handshake, ...evil }))],
  ['GET /ws/{client_id} 404', () => ask(usual, get('/ws/a%2fb', handshake))],
  ['GET /ws/{client_id} 426', () => ask(usual, get('/ws/a'))],
];

/** While another body has taken the room. */
async function crowdedOut(name: string): Promise<void> {
  const [method = '', template = ''] = name.split(' ');
  const client = await RawClient.connect(Number(new URL(crowded.url).port));
  await client.send('POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n');
  const headers = { 'content-length': '200' };
  const request = { method, path: template.replace(/\{\w+\}/g, 'x'), headers, body: 'x'.repeat(200) };
  await eventually(async () => expect(await ask(crowded, request)).toBe(name));
  await client.reset();
}
const crowds = scenarios.flatMap(([name]) => (name.endsWith(' 413') ? name.replace(/413$/, '429') : []));

describe('the documented answers', () => {
  it('are those that there are scenarios for', () => {
    expect([...new Set([...scenarios.map(([name]) => name), ...crowds])].sort()).toEqual(
      [...document.answers].sort(),
    );
  });

  it.each(scenarios)('%s occurs as documented', async (name, run) => {
    expect(await run()).toBe(name);
  });

  it.each(crowds)('%s occurs as documented', crowdedOut);

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
      { numRuns: 100 },
    );
  });
});

describe('the documented frames', () => {
  it('are those that come and go over a WebSocket', async () => {
    const hive = await start({ config: { 'streams-memory': { maxRunning: 1 } }, plugins: [acting] });
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

    const clients = hive.kernel.get(Clients);
    const lost = await clients.send('docs', 't', 'x'.repeat(80_000));
    await clients.send('docs', 't', 'x'.repeat(80_000));
    send({ type: 'inbox', after: lost - 1 });
    send({ type: 'inbox' });
    await hive.streams.start({ userId: 'docs', content: 'Hallo', agent: 'eliza' });
    await client.until((frame) => frame.type === 'stream_available');
    send({ type: 'ping' });
    send({ type: 'auth', token: 'any' });
    stream('acting', { agent: 'actor', tools: [{ name: 'theirs', parameters: { type: 'object' } }] });
    const question = await client.until((frame) => frame.type === 'approval_required');
    send({ type: 'approve', streamId: question.streamId, id: question.id, allow: true, reason: 'why not' });
    send({ type: 'tool_result', streamId: question.streamId, id: 'c2', output: 1 });
    await ended('acting');
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
