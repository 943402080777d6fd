import { afterEach, describe, expect, it, vi } from 'vitest';
import type { UpstreamAgent } from '#sdk/upstream';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { config as ollamaConfig } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { config as openAiConfig } from '../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { config as queenConfig } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { call, ScriptedAgent } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { startHttpServer } from '../../support/http-server.js';
import { deferred } from '../../support/kernel.js';
import {
  events,
  lines,
  type Script,
  type ScriptedServer,
  type Scripts,
  startScriptedServer,
} from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

type Dialect = 'openai' | 'ollama';

const create = {
  openai: (url: string, more: object = {}) =>
    new OpenAiAgent('openai', openAiConfig.parse({ baseUrl: `${url}/v1`, ...more })),
  ollama: (url: string, more: object = {}) => new OllamaAgent(ollamaConfig.parse({ baseUrl: url, ...more })),
};
const answer = {
  openai: events({ choices: [{ delta: { content: 'Hi' }, finish_reason: 'stop' }] }, '[DONE]'),
  ollama: lines({ message: { role: 'assistant', content: 'Hi' }, done: true, done_reason: 'stop' }),
};
const json = { 'content-type': 'application/json' };
const listed = { headers: json, body: JSON.stringify({ models: [{ name: 'm' }], data: [{ id: 'm' }] }) };
const page = { headers: { 'content-type': 'text/html' }, body: '<html>Sign in</html>' };
const never = { body: new Promise(() => {}), end: 'open' } as const;

let server: ScriptedServer;
let agent: UpstreamAgent<unknown>;
const start = async (dialect: Dialect, gets: Scripts, more: object = {}, chat: Script = {}) => {
  server = await startScriptedServer({ body: answer[dialect], ...chat }, { gets });
  agent = create[dialect](server.url, more);
};
/** From now on nothing listens there: the next server must not get the port that becomes free. */
const down = async () => {
  const next = await startScriptedServer();
  await server.close();
  server = next;
};
afterEach(async () => {
  vi.restoreAllMocks();
  agent.close();
  await server.close();
});

/** A queen of this agent and of one that is always well. */
function court(others: readonly ScriptedAgent[] = [new ScriptedAgent('other')]) {
  const registry = new Registry<never>('agent');
  for (const each of [agent, ...others]) registry.add(each as never, 'test');
  const bus = new Bus((error) => {
    throw error;
  });
  const candidates = [agent, ...others].map(({ name }) => name);
  const config = queenConfig.parse({ candidates, healthTimeoutMs: 200 });
  return new Queen(config, registry, new MemoryStore(storeConfig.parse({})), bus);
}

async function ask(queen: Queen) {
  const names: string[] = [];
  let text = '';
  let error: unknown;
  const sink = {
    write(batch: readonly { readonly type: string }[]) {
      for (const chunk of batch as readonly { type: string; agent?: string; content?: string }[]) {
        if (chunk.type === 'agent') names.push(chunk.agent ?? '');
        if (chunk.type === 'text') text += chunk.content;
      }
    },
    get text() {
      return text;
    },
  };
  const id = Math.random().toString(36);
  const command = { id, userId: 'u', conversationId: 'c', content: 'Hi', stateless: true };
  await queen.reply(command as never, call(), sink as never).catch((cause: unknown) => {
    error = cause;
  });
  return { names, text, error };
}

const unlisted: readonly (readonly [name: string, gets: Scripts])[] = [
  ['is missing', { status: 404, headers: json, body: '{"error":"not found"}' }],
  ['is not allowed', { status: 405 }],
  ['is refused (401)', { status: 401, headers: json, body: '{"error":{"message":"no key"}}' }],
  ['is refused (403)', { status: 403, ...page }],
  ['is a page', page],
  ['is a page with a 404', { status: 404, ...page }],
  ['leads elsewhere', { status: 302, headers: { location: '/login' } }],
  ['is broken', { headers: json, body: '{"data":' }],
  ['is another thing', { headers: json, body: '{"data":{}}' }],
  ['is not JSON', { headers: { 'content-type': 'text/plain' }, body: 'OK' }],
  ['is too much for it', { status: 500, body: 'oops' }],
  ['is refused for now', { status: 429 }],
  ['does not come', never],
  ['begins and does not end', { headers: json, body: ['{"data":['], end: 'open' }],
];

describe.each<[dialect: Dialect, options: object]>([
  ['openai', { model: 'm' }],
  ['openai', {}],
  ['ollama', { model: 'm' }],
])('%s with %j is healthy where chat works, though its list', (dialect, options) => {
  it.each(unlisted)('%s', async (_, gets) => {
    await start(dialect, gets, { connectTimeoutMs: 300, ...options });
    expect(await agent.health(new AbortController().signal)).toMatchObject({
      healthy: true,
      detail: expect.any(String),
      models: 'model' in options ? ['m'] : [],
    });
    expect(await wholeAnswer(agent, hello())).toMatchObject({ text: 'Hi', error: undefined });
    const model = 'model' in options ? 'm' : undefined;
    expect(server.chats[0]?.body.model).toBe(model);
    expect(await ask(court())).toMatchObject({ names: [agent.name], text: 'Hi' });
  });
});

describe('a check', () => {
  it('of Ollama needs no version', async () => {
    await start('ollama', ({ path }) => (path === '/api/version' ? { status: 404 } : listed));
    expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: true, models: ['m'] });
  });

  it.each<Dialect>(['openai', 'ollama'])(
    'of %s is good without a list though it is busy',
    async (dialect) => {
      await start(dialect, { status: 401 }, { model: 'm' }, { status: 429 });
      expect((await wholeAnswer(agent, hello('m'))).error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
      expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: true });
    },
  );

  it.each<[Dialect, string]>([
    ['openai', 'is unhealthy without a list where answers fail'],
    ['ollama', 'is unhealthy without a list where answers fail'],
  ])('of %s %s', async (dialect) => {
    await start(dialect, { status: 401 }, { model: 'm' }, { status: 401, body: 'no' });
    const { signal } = new AbortController();
    expect(await agent.health(signal)).toMatchObject({ healthy: true });
    expect((await wholeAnswer(agent, hello('m'))).error).toMatchObject({ code: 'AGENT_FAILED' });
    expect(await agent.health(signal)).toMatchObject({ healthy: false });
    server.play({ body: answer[dialect] });
    await wholeAnswer(agent, hello('m'));
    expect(await agent.health(signal)).toMatchObject({ healthy: true });
  });

  it.each<Dialect>(['openai', 'ollama'])(
    'of %s is not made while it answers: its server may do one thing at a time',
    async (dialect) => {
      const rest = deferred<void>();
      const [first, ...others] =
        dialect === 'openai'
          ? [
              events({ choices: [{ delta: { content: 'H' } }] }),
              events({ choices: [{ delta: { content: 'i' }, finish_reason: 'stop' }] }, '[DONE]'),
            ]
          : [
              lines({ message: { content: 'H' } }),
              lines({ message: { content: 'i' }, done: true, done_reason: 'stop' }),
            ];
      await start(dialect, never, { model: 'm' }, { body: [first as string, rest.promise, ...others] });
      const begun = deferred<void>();
      const answered = wholeAnswer(agent, hello('m'), undefined, () => begun.resolve());
      await begun.promise;
      expect(await agent.health(AbortSignal.timeout(5000))).toMatchObject({ healthy: true });
      rest.resolve();
      expect(await answered).toMatchObject({ text: 'Hi' });
      // It has just answered.
      expect(await agent.health(AbortSignal.timeout(50))).toMatchObject({ healthy: true });
    },
  );

  it.each<[name: string, body: string]>([
    ['speaks no HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['hangs up', ''],
  ])('finds out a server that %s', async (_, body) => {
    await start('openai', { raw: true, body, end: 'close' }, { model: 'm' });
    expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: false });
  });

  it('finds out a server that is not there', async () => {
    await start('openai', listed, { model: 'm' });
    await down();
    expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: false });
  });
});

describe('a server that is down', () => {
  /** Counts tries to connect: they fail as those to a port where nothing listens. */
  const countTries = () => {
    const exchange = vi.spyOn(agent as unknown as { list(): unknown; ask(): unknown }, 'ask');
    const list = vi.spyOn(agent as unknown as { list(): unknown }, 'list');
    return () => exchange.mock.calls.length + list.mock.calls.length;
  };

  it.each<[name: string, others: readonly ScriptedAgent[], atOnce: boolean]>([
    ['one after the other, where another one answers', [new ScriptedAgent('other')], false],
    ['at once, where another one answers', [new ScriptedAgent('other')], true],
    ['one after the other, where it is alone', [], false],
    ['at once, where it is alone', [], true],
  ])('is left alone, also by 100 requests %s', async (_, others, atOnce) => {
    await start('openai', listed, { model: 'm' });
    await down();
    const tries = countTries();
    const queen = court(others);
    const answers = [];
    if (atOnce) answers.push(...(await Promise.all(Array.from({ length: 100 }, () => ask(queen)))));
    else for (let request = 0; request < 100; request++) answers.push(await ask(queen));
    expect(tries()).toBeLessThan(20);
    for (const { error, names } of answers)
      if (others.length > 0) expect(names).toEqual(['other']);
      else
        expect(error).toMatchObject({
          code: 'AGENT_UNAVAILABLE',
          message: expect.stringContaining('baseUrl'),
        });
  });

  it('is asked again soon after it is back', async () => {
    await start('openai', listed, { model: 'm' });
    const { port } = new URL(server.url);
    await down();
    const queen = court();
    for (let request = 0; request < 10; request++) await ask(queen);
    const back = await startHttpServer((request, response) => {
      request.resume();
      response.setHeader('content-type', request.method === 'GET' ? 'application/json' : 'text/event-stream');
      response.end(request.method === 'GET' ? listed.body : answer.openai);
    }, Number(port));
    await eventually(async () => {
      expect(await ask(queen)).toMatchObject({ names: ['openai'], text: 'Hi' });
    });
    await back.close();
  });
});
