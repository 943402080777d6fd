import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, type AgentCall, definePlugin, type KernelEvents } from '#kernel';
import endpointConversations from '../../plugins/endpoint-conversations/index.js';
import { accessPlugin, as } from '../support/access.js';
import { done, text } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import { type Frame, WsClient } from '../support/ws-client.js';

const calls: AgentCall[] = [];

/** Says how many messages it was given, and waits where it is asked to. */
const counter: Agent = {
  name: 'counter',
  async *generateResponseStream({ messages }, call) {
    const { signal } = call;
    calls.push(call);
    yield text(`${messages.length} messages`);
    if (messages.at(-1)?.content === 'wait')
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    yield done;
  },
};

const fixture = definePlugin({
  name: 'fixture',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent(counter);
    ctx.registerTask({
      name: 'test:wait',
      lane: 'main',
      exposed: true,
      run: (_input, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
        }),
    });
    ctx.registerTask({ name: 'test:who', lane: 'main', exposed: true, run: (_input, { userId }) => userId });
  },
});

/** The ids of what a user has. */
interface Owned {
  readonly stream: string;
  readonly task: string;
  readonly conversation: string;
  readonly request: string;
}

let hive: Hive;
let serial = 0;
const unknown = (id: string): string => `x${id.slice(1)}`;

beforeAll(async () => {
  hive = await startHive({
    config: { 'agent-queen': { candidates: ['counter'] } },
    plugins: [fixture, endpointConversations, accessPlugin()],
  });
});
afterAll(async () => {
  await hive.stop();
});

async function http(user: string, method: string, path: string, body?: object, headers: object = {}) {
  const answer = await fetch(hive.url + path, {
    method,
    headers: { ...as(user), ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

/** The frames that answer one frame, up to the one that ends it. */
async function overSocket(user: string, frame: object): Promise<readonly Frame[]> {
  const client = await WsClient.connect(`${hive.ws}/device-${serial++}`, { headers: as(user) });
  client.send(frame);
  client.send({ type: 'ping' });
  await client.until(({ type }) => type === 'pong');
  const isAnswered = ({ type }: Frame) => /error|cancelled|streaming_end|message|streaming_start/.test(type);
  await client.until(isAnswered);
  await client.close();
  return client.frames.filter(({ type }) => type !== 'pong');
}

const ways = {
  ws: async (user: string, content: string, conversation: string, request: string) => {
    const client = await WsClient.connect(`${hive.ws}/device-${serial++}`, { headers: as(user) });
    client.send({
      type: 'stream_request',
      content,
      conversationId: conversation,
      requestId: request,
      onDisconnect: 'continue',
    });
    const start = await client.until(({ type }) => type === 'streaming_start' || type === 'error');
    if (content !== 'wait') await client.until(({ type }) => type === 'streaming_end');
    const said = client.frames
      .map((frame) => (frame.type === 'streaming_token' ? frame.content : ''))
      .join('');
    await client.close();
    return { stream: start.streamId as string, said };
  },
  ndjson: async (user: string, content: string, conversation: string, request: string) => {
    const abort = new AbortController();
    const answer = await fetch(`${hive.url}/chat/stream`, {
      method: 'POST',
      signal: abort.signal,
      headers: { ...as(user), 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ content, conversation_id: conversation, request_id: request }),
    });
    const stream = answer.headers.get('x-stream-id') as string;
    const said = content === 'wait' ? '' : textIn(await answer.text());
    abort.abort();
    return { stream, said };
  },
  openai: async (user: string, content: string, conversation: string, request: string) => {
    const abort = new AbortController();
    const answer = await fetch(`${hive.url}/v1/chat/completions`, {
      method: 'POST',
      signal: abort.signal,
      headers: {
        ...as(user),
        'content-type': 'application/json',
        'x-conversation-id': conversation,
        'idempotency-key': request,
      },
      body: JSON.stringify({ model: 'counter', stream: true, messages: [{ role: 'user', content }] }),
    });
    const stream = answer.headers.get('x-stream-id') as string;
    const said = content === 'wait' ? '' : (/\d messages/.exec(await answer.text())?.[0] ?? '');
    abort.abort();
    return { stream, said };
  },
};
type Way = keyof typeof ways;

const textIn = (lines: string) =>
  lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Frame)
    .map(({ type, content }) => (type === 'streaming_token' ? content : ''))
    .join('');

/** What a user has after one stored answer, one running reply and one running task. */
async function ownedBy(user: string, way: Way): Promise<Owned> {
  const [conversation, request] = [`conversation-${serial++}`, `request-${serial++}`];
  await ways[way](user, 'Hi', conversation, `${request}-first`);
  const { stream } = await ways[way](user, 'wait', conversation, request);
  const run = await http(user, 'POST', '/tasks/test:wait', { request_id: request });
  return { stream, conversation, request, task: JSON.parse(run.text).taskId };
}

/** All that can be tried with the ids of others. Each gives its answer without what always differs. */
const attempts: Readonly<Record<string, (user: string, owned: Owned) => Promise<unknown>>> = {
  'reading the stream': (user, { stream }) => http(user, 'GET', `/chat/stream/${stream}`),
  'reading the stream from a position': (user, { stream }) =>
    http(user, 'GET', `/chat/stream/${stream}?position=2`),
  'cancelling the stream': (user, { stream }) => http(user, 'DELETE', `/chat/stream/${stream}`),
  'resuming it over a WebSocket': (user, { stream }) =>
    overSocket(user, { type: 'resume', streamId: stream }),
  'cancelling it over a WebSocket': (user, { stream }) =>
    overSocket(user, { type: 'cancel', streamId: stream }),
  'allowing a tool of it': (user, { stream }) =>
    overSocket(user, { type: 'approve', streamId: stream, id: 'c1', allow: true }),
  'giving the result of a tool of it': (user, { stream }) =>
    overSocket(user, { type: 'tool_result', streamId: stream, id: 'c1', output: 1 }),
  'reading the task': (user, { task }) => http(user, 'GET', `/tasks/${task}`),
  'cancelling the task': (user, { task }) => http(user, 'DELETE', `/tasks/${task}`),
  'cancelling it with a frame': (user, { task }) => overSocket(user, { type: 'cancel_task', taskId: task }),
  'reading the conversation': (user, { conversation }) =>
    http(user, 'GET', `/conversations/${conversation}/messages`),
  'exporting it': (user, { conversation }) => http(user, 'GET', `/conversations/${conversation}/export`),
  'deleting it': (user, { conversation }) => http(user, 'DELETE', `/conversations/${conversation}`),
  'renaming it': (user, { conversation }) =>
    http(user, 'PATCH', `/conversations/${conversation}`, { title: 'taken over' }),
  'searching conversations': async (user, { conversation }) =>
    (await http(user, 'GET', '/conversations/search?q=wait&limit=100')).text.includes(conversation),
  'listing conversations': async (user, { conversation }) =>
    (await http(user, 'GET', '/conversations')).text.includes(conversation),
  'exporting all': async (user, { conversation }) =>
    (await http(user, 'GET', '/conversations/export')).text.includes(conversation),
  'going on with it over a WebSocket': async (user, { conversation }) =>
    (await ways.ws(user, 'Hi', conversation, `new-${serial++}`)).said,
  'going on with it over HTTP': async (user, { conversation }) =>
    (await ways.ndjson(user, 'Hi', conversation, `new-${serial++}`)).said,
  'going on with it over /v1': async (user, { conversation }) =>
    (await ways.openai(user, 'Hi', conversation, `new-${serial++}`)).said,
  'joining its request over a WebSocket': async (user, { request, stream }) =>
    (await ways.ws(user, 'wait', `other-${serial++}`, request)).stream === stream,
  'joining its request over HTTP': async (user, { request, stream }) =>
    (await ways.ndjson(user, 'wait', `other-${serial++}`, request)).stream === stream,
  'joining its request over /v1': async (user, { request, stream }) =>
    (await ways.openai(user, 'wait', `other-${serial++}`, request)).stream === stream,
  'joining its task': async (user, { request, task }) =>
    JSON.parse((await http(user, 'POST', '/tasks/test:wait', { request_id: request })).text).taskId === task,
};

/** An answer with the ids of the attempt, and of the request itself, left out. */
function plain(answer: unknown, owned: Owned): string {
  let written = JSON.stringify(answer);
  for (const id of [owned.stream, owned.task, owned.conversation, owned.request])
    written = written.replaceAll(id, '…');
  return written.replace(/requestId\\":\\"[^"\\]+/g, 'requestId…');
}

const never = ({ stream, task, conversation, request }: Owned): Owned => ({
  stream: unknown(stream),
  task: unknown(task),
  conversation: unknown(conversation),
  request: unknown(request),
});

describe('of two users', () => {
  it.each(Object.keys(ways) as Way[])(
    'one cannot tell what the other has over %s from what never existed',
    async (way) => {
      const owned = await ownedBy('ann', way);
      for (const [name, attempt] of Object.entries(attempts)) {
        const given = plain(await attempt('bob', owned), owned);
        expect(given, name).toBe(plain(await attempt('bob', never(owned)), never(owned)));
      }
      // All of it is still there for its owner.
      expect((await http('ann', 'GET', `/tasks/${owned.task}`)).text).toContain('"running"');
      expect((await http('ann', 'GET', `/conversations/${owned.conversation}/messages`)).status).toBe(200);
      expect((await http('ann', 'DELETE', `/chat/stream/${owned.stream}`)).status).toBe(200);
      expect((await http('ann', 'DELETE', `/tasks/${owned.task}`)).text).toContain('true');
      expect((await http('ann', 'DELETE', `/conversations/${owned.conversation}`)).status).toBe(200);
    },
  );

  it('none ever sees the other, in any order of any attempts', async () => {
    const users = fc.constantFrom('ann', 'bob');
    const step = fc.record({
      owner: users,
      asker: users,
      way: fc.constantFrom(...(Object.keys(ways) as Way[])),
      attempt: fc.constantFrom(...Object.keys(attempts)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const all = new Map<string, Owned>();
        for (const { owner, asker, way, attempt: name } of steps) {
          const owned = all.get(owner + way) ?? (await ownedBy(owner, way));
          all.set(owner + way, owned);
          if (owner === asker) continue;
          const attempt = attempts[name] as (typeof attempts)[string];
          expect(plain(await attempt(asker, owned), owned), name).toBe(
            plain(await attempt(asker, never(owned)), never(owned)),
          );
        }
        for (const [key, { stream, task }] of all) {
          const owner = key.slice(0, 3);
          expect((await http(owner, 'DELETE', `/chat/stream/${stream}`)).status).toBe(200);
          expect((await http(owner, 'DELETE', `/tasks/${task}`)).text).toContain('true');
        }
      }),
      { numRuns: 8 },
    );
  });

  it.each([
    ['POST', '/chat', { content: 'Hi', user_id: 'ann' }],
    ['POST', '/chat/stream', { content: 'Hi', user_id: 'ann' }],
    ['POST', '/tasks/test:who', { user_id: 'ann' }],
    [
      'POST',
      '/v1/chat/completions',
      { model: 'counter', messages: [{ role: 'user', content: 'Hi' }], user: 'ann' },
    ],
    ['GET', '/conversations?user_id=ann', undefined],
    ['GET', '/conversations/export?user_id=ann', undefined],
    ['GET', '/conversations/c/messages?user_id=ann', undefined],
    ['GET', '/conversations/search?user_id=ann&q=wait', undefined],
    ['PATCH', '/conversations/c?user_id=ann', { title: 'x' }],
    ['DELETE', '/conversations/c?user_id=ann', undefined],
    ['POST', '/conversations/import?user_id=ann', { conversation_id: 'c', role: 'user', content: 'x' }],
  ])('%s %s in the name of another one is refused, and allowed by the scope', async (method, path, body) => {
    const refused = await http('bob', method, path, body);
    expect(refused.status).toBe(403);
    const allowed = await http('proxy', method, path, body);
    expect([200, 202, 404]).toContain(allowed.status);
    expect((await http('ann', method, path, body)).status).toBe(allowed.status);
  });

  it('a task, an agent and their events know the user', async () => {
    const told: unknown[] = [];
    const offs = (
      [
        'chat:accepted',
        'chat:started',
        'chat:finished',
        'agent:asked',
        'agent:answered',
        'task:succeeded',
      ] as const
    ).map((name) =>
      hive.kernel.bus.on(name, (event) => void told.push([name, (event as { userId?: string }).userId])),
    );
    await http('ann', 'POST', '/chat', { content: 'Hi' });
    expect(JSON.parse((await http('bob', 'POST', '/tasks/test:who?wait=5000', {})).text)).toMatchObject({
      output: 'bob',
    });
    for (const off of offs) await off();
    for (const name of ['chat:accepted', 'chat:started', 'chat:finished', 'agent:asked', 'agent:answered'])
      expect(told).toContainEqual([name, 'ann']);
    expect(told).toContainEqual(['task:succeeded', 'bob']);
  });
});

describe('what a user does', () => {
  it('is known to the agent, with the connection that it came over', async () => {
    const connections: string[] = [];
    const off = hive.kernel.bus.on(
      'connection:identified',
      ({ connection }) => void connections.push(connection),
    );
    await ways.ws('ann', 'Hi', 'known', `request-${serial++}`);
    await off();
    expect(calls.at(-1)).toMatchObject({ userId: 'ann', connection: connections[0] });
    await http('bob', 'POST', '/chat', { content: 'Hi' });
    expect(calls.at(-1)?.userId).toBe('bob');
    expect(calls.at(-1)?.connection).toBeUndefined();
  });

  it('is in the audit log where something is deleted, with the user in whose name', async () => {
    const audit: KernelEvents['access:audited'][] = [];
    const off = hive.kernel.bus.on('access:audited', (entry) => void audit.push(entry));
    await ways.ws('ann', 'Hi', 'first', `request-${serial++}`);
    await ways.ws('ann', 'Hi', 'second', `request-${serial++}`);
    expect((await http('ann', 'DELETE', '/conversations/first')).status).toBe(200);
    expect((await http('proxy', 'DELETE', '/conversations/second?user_id=ann')).status).toBe(200);
    expect((await http('bob', 'DELETE', '/conversations/first')).status).toBe(404);
    await off();
    const from = { action: 'deleted', remoteAddress: '127.0.0.1', requestId: expect.any(String) };
    expect(audit).toEqual([
      { ...from, what: 'conversation first of ann', userId: 'ann' },
      { ...from, what: 'conversation second of ann', userId: 'proxy' },
    ]);
  });
});

describe('in an open server, strangers', () => {
  let open: Hive;
  beforeAll(async () => {
    open = await startHive({
      config: { 'agent-queen': { candidates: ['counter'] } },
      plugins: [fixture, endpointConversations],
    });
  });
  afterAll(() => open.stop());
  const ask = async (path: string, body: object, headers: object = {}) => {
    const answer = await fetch(open.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return {
      warning: answer.headers.get('x-waggle-warning'),
      stream: answer.headers.get('x-stream-id'),
      body: await answer.json(),
    };
  };

  it('share no conversation over /v1, and are told so', async () => {
    const body = { model: 'counter', messages: [{ role: 'user', content: 'Hi' }] };
    const headers = { 'x-conversation-id': 'shared', 'idempotency-key': 'shared' };
    const first = await ask('/v1/chat/completions', body, headers);
    const second = await ask('/v1/chat/completions', body, headers);
    for (const { body, warning } of [first, second]) {
      expect(body.choices[0].message.content).toBe('1 messages');
      expect(warning).toContain('X-Conversation-Id');
    }
    expect(second.stream).not.toBe(first.stream);
    const named = { ...body, user: 'ann' };
    await ask('/v1/chat/completions', named, { 'x-conversation-id': 'shared' });
    const again = await ask('/v1/chat/completions', named, { 'x-conversation-id': 'shared' });
    expect(again.body.choices[0].message.content).toBe('3 messages');
  });

  it('share no task run', async () => {
    const run = () => ask('/tasks/test:who?wait=5000', { request_id: 'shared' });
    expect((await run()).body.taskId).not.toBe((await run()).body.taskId);
  });
});
