import { afterEach, describe, expect, it } from 'vitest';
import { ConversationStore, definePlugin } from '#kernel';
import { config as openaiConfig } from '../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../plugins/agent-openai/openai-agent.js';
import { done, ScriptedAgent, type Step, text, unstamped } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import {
  events,
  type Script,
  type ScriptedServer,
  type Scripts,
  startScriptedServer,
} from '../support/scripted-server.js';
import { type Frame, textOf, WsClient } from '../support/ws-client.js';

let hive: Hive | undefined;
let servers: ScriptedServer[] = [];
afterEach(async () => {
  await hive?.close();
  for (const server of servers) await server.close();
  hive = undefined;
  servers = [];
});

const sse = { 'content-type': 'text/event-stream' };
const json = { 'content-type': 'application/json' };
const delta = (content: string, reason: string | null = null) => ({
  choices: [{ index: 0, delta: { content }, finish_reason: reason }],
});
const saying = (content: string): Script => ({
  headers: sse,
  body: events(delta(content), delta('', 'stop'), '[DONE]'),
});
const failing = (status: number, message: string, headers: object = {}): Script => ({
  status,
  headers: { ...json, ...headers },
  body: JSON.stringify({ error: { message } }),
});
const streaming = (...values: readonly unknown[]): Script => ({ headers: sse, body: events(...values) });
const busy = failing(503, 'server busy', { 'retry-after': '0' });
const down = 'http://127.0.0.1:9';

/** Two model servers, and Eliza behind them. */
async function start(first: Scripts | undefined, second?: Scripts, queen: object = {}): Promise<void> {
  const agents: OpenAiAgent[] = [];
  for (const [name, scripts] of [
    ['first', first],
    ['second', second],
  ] as const) {
    const server = scripts && (await startScriptedServer(scripts));
    if (server) servers.push(server);
    if (server || name === 'first')
      agents.push(
        new OpenAiAgent(name, openaiConfig.parse({ baseUrl: `${server?.url ?? down}/v1`, model: 'm' })),
      );
  }
  const plugins = agents.map((agent) =>
    definePlugin({
      name: `agent-${agent.name}`,
      apiVersion: 1,
      setup(ctx) {
        ctx.effect('connections', () => () => agent.close());
        ctx.addAgent(agent);
      },
    }),
  );
  const candidates = [...agents.map(({ name }) => name), 'eliza'];
  hive = await startHive({
    plugins,
    config: { 'agent-queen': { candidates, busyTimeoutMs: 1500, ...queen } },
  });
}

/** One answer, however it came. */
interface Told {
  readonly agent?: string | undefined;
  readonly said: string;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly queued?: boolean;
}

const toldBy = (frames: readonly Frame[]): Told => {
  const end = frames.at(-1);
  const said = end?.type === 'message' ? (end.content ?? '') : textOf(frames);
  const queued = frames.some(({ type }) => type === 'queue_update');
  return { agent: end?.agent, said, code: end?.code?.toLowerCase(), message: end?.message, queued };
};

const post = (path: string, body: object, headers: object = {}) =>
  fetch(`${hive?.url}${path}`, {
    method: 'POST',
    headers: { ...json, ...headers },
    body: JSON.stringify(body),
  });

const ways: Readonly<Record<string, (content: string, more?: object) => Promise<Told>>> = {
  '/ws': async (content, more) => {
    const client = await WsClient.connect(`${hive?.ws}/ann`);
    const frames = await client.ask({ content, conversationId: 'c', ...more });
    await client.close();
    return toldBy(frames);
  },
  '/chat/stream': async (content, more) => {
    const body = { content, user_id: 'ann', conversation_id: 'c', ...more };
    const answer = await post('/chat/stream', body, { accept: 'application/x-ndjson' });
    const lines = (await answer.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    if (answer.status === 200) return toldBy(lines);
    const { code, message } = lines[0].error;
    return { said: '', code: code.toLowerCase(), message };
  },
  '/v1': async (content, more) => {
    const asked = {
      model: 'queen',
      stream: true,
      user: 'ann',
      messages: [{ role: 'user', content }],
      ...more,
    };
    const answer = await post('/v1/chat/completions', asked, { 'x-conversation-id': 'c' });
    const body = await answer.text();
    if (answer.status !== 200) {
      const { code, message } = JSON.parse(body).error;
      return { said: '', code, message };
    }
    const chunks = body
      .split('\n\n')
      .flatMap((event) => (event.startsWith('data: {') ? [JSON.parse(event.slice(6))] : []));
    const agent = answer.headers.get('x-waggle-agent') ?? undefined;
    if (agent && asked.model === 'queen')
      for (const { model } of chunks) expect(model).toBe(`queen/${agent}`);
    return { agent, said: chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('') };
  },
};
const dialects = Object.keys(ways) as (keyof typeof ways)[];
const ask = (way: string, content = 'Hi', more: object = {}) =>
  (ways[way] as (typeof ways)[string])(content, more);

/** `second` where that answers in the place of the first, else the code that the client is told, at /ws and at /v1. */
type Row = readonly [
  what: string,
  first: Scripts | undefined,
  expected: 'first' | 'second' | readonly [string, string],
];

const rows: readonly Row[] = [
  ['is well', saying('one'), 'first'],
  ['cannot be reached', undefined, 'second'],
  ['reports a fault of its own', failing(500, 'CUDA error'), 'second'],
  ['is behind a broken gateway', { status: 502, body: '<html>Bad Gateway</html>' }, 'second'],
  ['reports one inside its stream', streaming({ error: { message: 'CUDA error' } }), 'second'],
  ['ends without an end', streaming(delta('')), 'second'],
  ['ends with nothing', streaming(delta('', 'stop'), '[DONE]'), 'second'],
  ['does not take the key', failing(401, 'bad key'), 'second'],
  ['has no such model', failing(404, 'The model `m` does not exist'), 'second'],
  ['has no tools', failing(400, 'this model does not support tools'), 'second'],
  ['sees no images', failing(500, 'image input is not supported'), 'second'],
  ['is busy, and then not', [busy, busy, saying('one')], 'first'],
  ['is busy for longer than a reply waits', failing(429, 'too many', { 'retry-after': '60' }), 'second'],
  ['refuses the request', failing(400, 'bad request'), ['agent_failed', 'invalid_request']],
  ['refuses its form', failing(422, 'temperature'), ['agent_failed', 'invalid_request']],
  ['refuses its length', failing(413, 'too large'), ['agent_failed', 'invalid_request']],
  [
    'reads less',
    failing(400, 'the maximum context length is 8 tokens'),
    ['context_too_long', 'context_length_exceeded'],
  ],
];

describe.each(dialects)('over %s, where a model server', (way) => {
  it.each(rows)('%s', async (_, first, expected) => {
    await start(first, saying('two'));
    const told = await ask(way);
    const [, second] = first === undefined ? [undefined, servers[0]] : servers;
    if (typeof expected === 'string')
      expect(told).toMatchObject({ agent: expected, said: expected === 'first' ? 'one' : 'two' });
    else {
      expect(told).toMatchObject({ said: '', code: expected[way === '/v1' ? 1 : 0] });
      expect(second?.chats).toEqual([]);
    }
  });

  it.each(rows.filter(([, first, expected]) => first && expected !== 'first'))(
    '%s, and only a demonstration is left: its failure is told',
    async (_, first) => {
      await start(first);
      const told = await ask(way);
      expect(told).toMatchObject({
        said: '',
        code: expect.stringMatching(/./),
        message: expect.stringMatching(/first|'m'/),
      });
      // The question stays, with its end.
      const kept = await hive?.kernel.get(ConversationStore).read({ userId: 'ann', conversationId: 'c' });
      expect(unstamped(kept ?? [])).toEqual([
        { role: 'user', content: 'Hi', end: expect.stringMatching(/^(failed|refused)$/) },
      ]);
    },
  );

  it('is busy: the client is told so before anything else', async () => {
    await start([busy, saying('one')]);
    expect(await ask(way)).toMatchObject({ said: 'one', ...(way !== '/v1' && { queued: true }) });
  });

  it('fails, and a question comes after that: roles alternate, and the model hears of both', async () => {
    await start([failing(500, 'no'), failing(500, 'no'), saying('one'), saying('two')]);
    await ask(way, 'a');
    // The same again is no second question.
    await ask(way, 'a');
    await ask(way, 'b');
    await ask(way, 'c');
    const said = servers[0]?.chats.map(({ body }) =>
      body.messages.map((each: { content: string }) => each.content),
    );
    expect(said).toEqual([['a'], ['a'], ['a\n\nb'], ['a\n\nb', 'one', 'c']]);
  });

  it('is strict, the 51st question of a conversation is answered, and so are all after it', async () => {
    const isStrict = (messages: readonly { role: string; content: string }[]) =>
      messages.every(({ role, content }, at) => role === (at % 2 ? 'assistant' : 'user') && content !== '');
    await start(({ body }) =>
      isStrict(body.messages) ? saying('one') : failing(400, 'roles must alternate'),
    );
    for (let turn = 1; turn < 54; turn++) expect((await ask(way, `${turn}`)).said).toBe('one');
    expect(servers[0]?.chats.at(-1)?.body.messages).toHaveLength(99);
  });

  it.each<[tells: boolean]>([[true], [false]])(
    'is at fault: its text goes to the client %s',
    async (tellFaults) => {
      await start(failing(500, 'open /srv/models/x.gguf: gone'), undefined, { tellFaults });
      const { code, message } = await ask(way);
      expect(code).toBe('agent_failed');
      expect(message?.includes('/srv/models')).toBe(tellFaults);
      if (!tellFaults) expect(message).toMatch(/log has the reason \(stream [\w-]{6}\)/);
    },
  );
});

describe('a demonstration', () => {
  const noticed = /^A demonstration, not a model.*OLLAMA_HOST[^\n]*\n\n\S/;

  it.each(['/ws', '/chat/stream'])(
    'answers over %s where no model server was there, and says so first',
    async (way) => {
      await start(undefined);
      expect(await ask(way)).toMatchObject({ agent: 'eliza', said: expect.stringMatching(noticed) });
      expect((await ask(way, 'Ich bin müde')).said).toMatch(/^Eine Vorführung, kein Modell/);
      const named = await ask(way, 'Hi', { agent: 'eliza' });
      expect(named).toMatchObject({ agent: 'eliza', said: expect.stringMatching(/^\S/) });
      expect(named.said).not.toContain('OLLAMA_HOST');
    },
  );

  it('answers at /v1 by its name only', async () => {
    await start(undefined);
    expect(await ask('/v1')).toMatchObject({
      code: 'agent_unavailable',
      message: expect.stringMatching(/baseUrl|start/),
    });
    expect((await ask('/v1', 'Hi', { model: 'eliza' })).said).toMatch(/^\S/);
  });

  it('is over once a model server has answered', async () => {
    await start(saying('one'));
    expect((await ask('/ws')).said).toBe('one');
    await servers.pop()?.close();
    expect(await ask('/ws')).toMatchObject({
      said: '',
      code: expect.stringMatching(/^agent_(unavailable|disconnected)$/),
    });
  });
});

describe('a tool that an agent has run by itself', () => {
  const call = (executor?: 'server' | 'client') =>
    ({ type: 'tool_call', id: '1', name: 'look', arguments: '{}', ...(executor && { executor }) }) as const;

  it.each<[what: string, script: readonly Step[], reason: string, calls: number]>([
    ['marked', [call('server'), text('x'), done], 'stop', 0],
    ['marked, at the end', [text('x'), call('server'), done], 'stop', 0],
    [
      'marked, under the reason for calls',
      [call('server'), text('x'), { type: 'done', reason: 'tool_calls' }],
      'stop',
      0,
    ],
    ['unmarked, as it goes on', [call(), text('x'), done], 'stop', 0],
    ["not run, as it is the client's", [text('x'), call('client'), done], 'tool_calls', 1],
    ["not run, as it is the client's: unmarked", [text('x'), call(), done], 'tool_calls', 1],
  ])('is no call of the answer: %s', async (_, script, reason, calls) => {
    const agent = new ScriptedAgent('a', script);
    const plugin = definePlugin({ name: 'agent-a', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });
    hive = await startHive({ plugins: [plugin] });
    const asked = { model: 'a', messages: [{ role: 'user', content: 'Hi' }] };
    const whole = await (await post('/v1/chat/completions', asked)).json();
    expect(whole.choices[0].finish_reason).toBe(reason);
    expect(whole.choices[0].message.tool_calls ?? []).toHaveLength(calls);
    const streamed = await (await post('/v1/chat/completions', { ...asked, stream: true })).text();
    expect(streamed).toContain(`"finish_reason":"${reason}"`);
    const client = await WsClient.connect(`${hive.ws}/ann`);
    const frames = await client.ask({ content: 'Hi', agent: 'a' });
    const told = script.find((step) => typeof step === 'object' && 'name' in step) as { executor?: string };
    expect(frames.find(({ type }) => type === 'streaming_tool_call')).toMatchObject({
      executor: told.executor ?? 'client',
    });
    await client.close();
  });
});
