import { afterEach, describe, expect, it } from 'vitest';
import {
  type Agent,
  type ChatRequest,
  definePlugin,
  Limits,
  type Principal,
  type UsageLimits,
} from '#kernel';
import limitsMemory from '../../../plugins/limits-memory/index.js';
import { accessPlugin, as, TestUsers } from '../../support/access.js';
import { eventually } from '../../support/eventually.js';
import { type Hive, startHive } from '../../support/hive.js';
import { deferred } from '../../support/kernel.js';
import { isThorough } from '../../support/thorough.js';
import { type Frame, WsClient } from '../../support/ws-client.js';

const dayS = 24 * 3600;

/** An agent that spends up to what it may, and tells it. */
class Spender implements Agent {
  readonly name = 'spender';
  readonly asked: ChatRequest[] = [];
  /** Answers wait for it. */
  go = Promise.resolve();
  #seed = 1;

  async health() {
    return { healthy: true };
  }

  async *generateResponseStream(request: ChatRequest) {
    this.asked.push(request);
    yield { type: 'text', content: 'Here ' } as const;
    await this.go;
    await new Promise(setImmediate);
    yield { type: 'text', content: 'you are' } as const;
    const { messages, options } = request;
    const bytes = messages.reduce((sum, { content }) => sum + content.length, 0);
    // Any part of it, in no particular order, and all of it at times.
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    const outputTokens = 1 + (this.#seed % (options?.maxTokens ?? 1));
    yield { type: 'done', reason: 'stop', usage: { inputTokens: bytes, outputTokens } } as const;
  }
}

/** What a client got: a reply, or a refusal with the time to wait. */
interface Got {
  readonly code: string;
  readonly retryAfterS: number | undefined;
}

const content = 'What is it?';
const maxTokens = 100;
const paths = ['/chat', '/chat/stream', '/v1/chat/completions'];

async function overHttp({ url }: Hive, path = '/chat'): Promise<Got> {
  const body =
    path === '/v1/chat/completions'
      ? { model: 'queen', max_tokens: maxTokens, messages: [{ role: 'user', content }] }
      : { content, options: { maxTokens } };
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...as('ann') },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const retryAfter = response.headers.get('retry-after');
  const code = /"code":\s*"(\w+)"/.exec(text)?.[1] ?? 'ok';
  expect(response.status, text).toBe(code === 'ok' ? 200 : 429);
  return { code, retryAfterS: retryAfter === null ? undefined : Number(retryAfter) };
}

async function overSocket(client: WsClient, requestId: string): Promise<Got> {
  client.send({ type: 'stream_request', content, requestId, options: { maxTokens } });
  const first = await client.until((frame) => frame.requestId === requestId);
  const { streamId } = first;
  const isEnd = (frame: Frame) =>
    frame.streamId === streamId && ['streaming_end', 'error'].includes(frame.type);
  const { code = 'ok', retryAfterMs } = first.type === 'error' ? first : await client.until(isEnd);
  return {
    code,
    retryAfterS: retryAfterMs === undefined ? undefined : Math.ceil(Number(retryAfterMs) / 1000),
  };
}

let hive: Hive | undefined;
let clients: WsClient[] = [];
afterEach(async () => {
  for (const client of clients) await client.close();
  clients = [];
  await hive?.stop();
});

async function start(limits: UsageLimits | undefined, options: Parameters<typeof startHive>[0] = {}) {
  const agent = new Spender();
  const spender = definePlugin({ name: 'spender', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
  const ann: Principal = { id: 'ann', scopes: [], limits };
  hive = await startHive({
    ...options,
    config: {
      'agent-queen': { candidates: ['spender'] },
      'endpoint-ws': { maxStreamsPerConnection: 100 },
      ...options.config,
    },
    plugins: [limitsMemory, spender, accessPlugin(new TestUsers({ 'token-of-ann': ann }))],
  });
  const { ws, kernel } = hive;
  /** Usage as the log has it. */
  const spent: number[] = [];
  kernel.bus.on(
    'chat:finished',
    ({ usage }) => void spent.push((usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0)),
  );
  const connect = async (id: string) => {
    const client = await WsClient.connect(`${ws}/${id}`, { headers: as('ann') });
    clients.push(client);
    return client;
  };
  return { hive, agent, ann, spent, connect, left: () => kernel.get(Limits).left(ann) };
}

describe.each(['uws', 'node'] as const)('a budget of tokens over %s', (transport) => {
  const many = isThorough ? 500 : 200;

  it.each(isThorough ? ['HTTP', 'WebSockets', 'both'] : ['both'])(
    'is kept by hundreds of requests at once over %s',
    async (way) => {
      const tokensPerDay = 16 * many;
      const { hive, agent, spent, connect, left } = await start({ tokensPerDay }, { transport });
      const sockets = await Promise.all(Array.from({ length: 10 }, (_, n) => connect(`c${n}`)));
      const got = await Promise.all(
        Array.from({ length: many }, (_, n) => {
          const isHttp = way === 'HTTP' || (way === 'both' && n % 2 === 0);
          if (isHttp) return overHttp(hive, paths[n % 3]);
          return overSocket(sockets[n % 10] as WsClient, `r${n}`);
        }),
      );
      const answered = got.filter(({ code }) => code === 'ok');
      const refused = got.filter(({ code }) => code !== 'ok');
      expect(answered.length).toBeGreaterThan(0);
      expect(refused.length).toBeGreaterThan(0);
      for (const { code, retryAfterS } of refused) {
        expect(['BUDGET_EXCEEDED', 'insufficient_quota', 'rate_limit_exceeded']).toContain(code);
        expect(retryAfterS).toBeGreaterThan(0);
        expect(retryAfterS).toBeLessThanOrEqual(dayS);
      }
      const sum = spent.reduce((a, b) => a + b, 0);
      expect(sum).toBeLessThanOrEqual(tokensPerDay);
      // All that was not used is there again.
      await eventually(async () =>
        expect(await left()).toMatchObject({
          tokensPerDay: { limit: tokensPerDay, left: tokensPerDay - sum },
        }),
      );
      expect(agent.asked).toHaveLength(answered.length);
      expect(agent.asked.every(({ options }) => options?.maxTokens === maxTokens)).toBe(true);
    },
  );
});

describe('replies at once', () => {
  it('are as many as allowed, over all ways together, and a repeated request takes no place', async () => {
    const { hive, agent, connect, left } = await start({ repliesAtOnce: 2 });
    const go = deferred();
    agent.go = go.promise;
    const client = await connect('c1');
    const first = overSocket(client, 'r1');
    await client.until(({ type }) => type === 'streaming_start');
    const other = await connect('c2');
    const joined = overSocket(other, 'r1');
    await other.until(({ type }) => type === 'streaming_start');
    expect(await left()).toMatchObject({ repliesAtOnce: { left: 1 } });
    const second = overHttp(hive);
    await eventually(async () => expect(await left()).toMatchObject({ repliesAtOnce: { left: 0 } }));
    const refusal = { code: 'RATE_LIMITED', retryAfterS: 1 };
    expect(await overSocket(client, 'r2')).toEqual(refusal);
    expect(await overHttp(hive)).toEqual(refusal);
    go.resolve();
    for (const reply of [first, joined, second]) expect((await reply).code).toBe('ok');
    expect(await left()).toMatchObject({ repliesAtOnce: { left: 2 } });
    expect((await overSocket(client, 'r3')).code).toBe('ok');
  });

  it.each<[end: string, act: (client: WsClient, started: Frame, hive: Hive) => unknown]>([
    ['a cancel', (client, { streamId }) => client.send({ type: 'cancel', streamId })],
    ['a lost connection', (client) => client.socket.terminate()],
    [
      'a shutdown',
      (_client, _started, { streams }) => (streams as unknown as { close(): Promise<void> }).close(),
    ],
  ])('are free again after %s', async (_, act) => {
    const { hive, agent, connect, left } = await start(
      { repliesAtOnce: 1 },
      { config: { 'streams-memory': { disconnectGraceMs: 1, cancelTimeoutMs: 1 } } },
    );
    const go = deferred();
    agent.go = go.promise;
    const client = await connect('c1');
    client.send({ type: 'stream_request', content });
    const started = await client.until(({ type }) => type === 'streaming_start');
    expect(await left()).toMatchObject({ repliesAtOnce: { left: 0 } });
    await act(client, started, hive);
    await eventually(async () => expect(await left()).toMatchObject({ repliesAtOnce: { left: 1 } }));
    go.resolve();
  });

  it('are free again where the line is full', async () => {
    const { hive, left } = await start(
      { repliesAtOnce: 5 },
      {
        config: { 'tasks-tinypool': { workers: 0, mainConcurrency: 1, queueLimit: 0 }, 'streams-memory': {} },
      },
    );
    const release = await hive.tasks.admit('chat:message');
    const response = await fetch(`${hive.url}/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as('ann') },
      body: JSON.stringify({ content }),
    });
    expect(response.status).toBe(503);
    expect(await left()).toMatchObject({ repliesAtOnce: { left: 5 } });
    release();
  });
});

it('limits of the config hold for users without limits of their own', async () => {
  const { hive, connect, left } = await start(undefined, {
    config: {
      'limits-memory': {
        limits: { requestsPerMinute: 3, repliesAtOnce: 1, connectionsAtOnce: 1, tokensPerDay: 300 },
      },
    },
  });
  const client = await connect('c1');
  expect((await (await connect('c2')).closed).code).toBe(1013);
  expect((await overHttp(hive)).code).toBe('ok');
  expect((await overSocket(client, 'r1')).code).toBe('ok');
  const { requestsPerMinute, repliesAtOnce, tokensPerDay } = await left();
  expect(requestsPerMinute).toMatchObject({ limit: 3, left: 1 });
  expect(repliesAtOnce).toEqual({ limit: 1, left: 1 });
  expect(tokensPerDay?.left).toBeLessThan(300);
  await overHttp(hive);
  expect((await overSocket(client, 'r2')).code).toBe('RATE_LIMITED');
});

describe('requests a minute', () => {
  it('are HTTP requests and frames that ask for work, together', async () => {
    const { hive, connect, left } = await start({ requestsPerMinute: 4 });
    const client = await connect('c1');
    for (const frame of [{ type: 'ping' }, { type: 'cancel', streamId: 'x' }]) client.send(frame);
    expect((await overSocket(client, 'r1')).code).toBe('ok');
    expect((await overHttp(hive)).code).toBe('ok');
    expect((await overSocket(client, 'r2')).code).toBe('ok');
    expect((await overHttp(hive)).code).toBe('ok');
    for (const refused of [await overSocket(client, 'r3'), await overHttp(hive)]) {
      expect(refused.code).toBe('RATE_LIMITED');
      expect(refused.retryAfterS).toBeGreaterThan(0);
      expect(refused.retryAfterS).toBeLessThanOrEqual(60);
    }
    client.send({ type: 'ping' });
    await client.until(({ type }) => type === 'pong');
    expect(await left()).toMatchObject({ requestsPerMinute: { limit: 4, left: 0 } });
  });
});
