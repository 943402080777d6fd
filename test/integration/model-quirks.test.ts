import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import agentOllama from '../../plugins/agent-ollama/index.js';
import agentOpenai from '../../plugins/agent-openai/index.js';
import { doors, type Got, post } from '../support/doors.js';
import { type Hive, startHive } from '../support/hive.js';
import {
  events,
  lines,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../support/scripted-server.js';

let hive: Hive;
let server: ScriptedServer;
/** Has no list of models. */
let listless: ScriptedServer;

beforeAll(async () => {
  server = await startScriptedServer();
  hive = await startHive();
  const openai = { baseUrl: `${server.url}/v1`, reasoningTags: true };
  await hive.kernel.load(agentOpenai, { id: 'agent-openai', config: openai });
  listless = await startScriptedServer({}, { gets: { status: 404, body: '<h1>404</h1>' } });
  const plain = { baseUrl: `${listless.url}/v1/chat/completions?v=1 `, model: 'm', streamOptions: false };
  await hive.kernel.load(agentOpenai, {
    id: 'agent-plain',
    config: { ...plain, stream: false, headers: { 'api-key': 'k' }, body: { extra: [1] } },
  });
  await hive.kernel.load(agentOllama, {
    id: 'agent-ollama',
    config: { baseUrl: server.url, reasoningTags: true },
  });
});
afterAll(async () => {
  await hive.close();
  await server.close();
  await listless.close();
});

/** What becomes of a script in frames, and at `/v1` where that has other words. */
interface Row {
  readonly agent: 'openai' | 'ollama';
  readonly script: Script;
  readonly got: Partial<Got>;
  readonly v1?: Partial<Got>;
}

const delta = (more: object, finish_reason: unknown = null) => ({
  choices: [{ delta: more, finish_reason }],
});
/** A call of a tool as a delta has it. */
const called = (args: string, more: object = {}) =>
  delta({ tool_calls: [{ type: 'function', function: { name: 'f', arguments: args }, ...more }] });

const hi = delta({ content: 'Hi' });
const stop = delta({}, 'stop');
const openai = (body: NonNullable<Script['body']>, more: Script = {}) =>
  ({ agent: 'openai', script: { body, ...more } }) as const;
const line = (content: string, more: object = { done: false }) => ({
  message: { role: 'assistant', content },
  ...more,
});
const ollama = (body: NonNullable<Script['body']>, more: Script = {}) =>
  ({ agent: 'ollama', script: { body, ...more } }) as const;
const refused = (status: number, error: object | string, headers = {}) =>
  ({ status, headers, body: typeof error === 'string' ? error : JSON.stringify(error) }) as const;

const well = { text: 'Hi', reason: 'stop', code: undefined };
const cut = { text: 'Hi', code: 'AGENT_DISCONNECTED', reason: undefined };
const cutV1 = { text: 'Hi', code: 'upstream_error', reason: undefined };

const rows: Readonly<Record<string, Row>> = {
  // Whole means whole.
  'a bare [DONE]': { ...openai(events(hi, '[DONE]')), got: cut, v1: cutV1 },
  'no reason in any event': {
    ...openai(events(delta({ content: 'Hi' }, ''), '[DONE]')),
    got: cut,
    v1: cutV1,
  },
  'an error for a reason': { ...openai(events(hi, delta({}, 'error'), '[DONE]')), got: cut, v1: cutV1 },
  'a lost end of Ollama': { ...ollama(lines(line('Hi'))), got: cut, v1: cutV1 },
  'a reason of Ollama that is none': {
    ...ollama(lines(line('Hi'), line('', { done: true, done_reason: 'abort' }))),
    got: cut,
    v1: cutV1,
  },
  // An error has many spellings.
  'a mistake, in words of FastAPI': {
    ...openai('', refused(422, { detail: [{ loc: ['body', 'seed'], msg: 'no number' }] })),
    got: { code: 'AGENT_FAILED', message: expect.stringContaining('body.seed: no number') },
    v1: { status: 422, code: 'invalid_request', message: expect.stringContaining('no number') },
  },
  'a mistake, inside of Ollama’s text': {
    ...ollama('', refused(400, { error: JSON.stringify({ error: { code: 400, message: 'no images' } }) })),
    got: { code: 'AGENT_FAILED', message: expect.stringMatching(/: no images$/) },
    v1: { status: 400, code: 'invalid_request' },
  },
  'a prompt that is too long': {
    ...openai('', refused(400, { error: { message: 'too long', type: 'exceed_context_size_error' } })),
    got: { code: 'CONTEXT_TOO_LONG' },
    v1: { status: 400, code: 'context_length_exceeded' },
  },
  'a model that was removed': {
    ...ollama('', refused(404, { error: "model 'm' not found" })),
    got: { code: 'AGENT_FAILED' },
    v1: { status: 404, code: 'model_not_found' },
  },
  'an event by the name of error': {
    ...openai(`${events(hi)}event: error\ndata: it broke\n\n`),
    got: { text: 'Hi', code: 'AGENT_FAILED' },
    v1: { text: 'Hi', code: 'agent_failed' },
  },
  // Nothing is not an answer.
  'an empty answer': {
    ...openai(events(stop, '[DONE]')),
    got: { text: '', code: 'AGENT_FAILED', message: expect.stringContaining('empty') },
    v1: { status: 500, code: 'agent_failed' },
  },
  'a model that was only loaded': {
    ...ollama(lines(line('', { done: true, done_reason: 'load' }))),
    got: { code: 'AGENT_DISCONNECTED' },
    v1: { status: 502, code: 'upstream_error' },
  },
  'a refusal': {
    ...openai(events(delta({ content: null, refusal: 'Hi' }), stop)),
    got: { text: 'Hi', reason: 'refusal' },
    v1: { text: 'Hi', reason: 'content_filter' },
  },
  'details of what it has cost': {
    ...openai(
      events(hi, {
        ...stop,
        usage: {
          prompt_tokens: 5,
          completion_tokens: 7,
          prompt_tokens_details: { cached_tokens: 3 },
          completion_tokens_details: { reasoning_tokens: 2 },
        },
      }),
    ),
    got: { ...well, usage: { inputTokens: 5, outputTokens: 7, cachedTokens: 3, reasoningTokens: 2 } },
    v1: {
      ...well,
      usage: {
        prompt_tokens: 5,
        completion_tokens: 7,
        total_tokens: 12,
        prompt_tokens_details: { cached_tokens: 3 },
        completion_tokens_details: { reasoning_tokens: 2 },
      },
    },
  },
  'no word of what it has cost': { ...openai(events(hi, stop)), got: { ...well, usage: undefined } },
  'no word of it from Ollama': {
    ...ollama(lines(line('Hi', { done: true }))),
    got: { ...well, usage: undefined },
  },
  // The letter of the framing.
  'no empty line at its end': { ...openai(events(hi, stop).trimEnd()), got: well },
  'one piece that is called events': {
    ...openai('{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}', {
      headers: { 'content-type': 'text/event-stream' },
    }),
    got: well,
  },
  'a compressed answer': {
    ...openai(gzipSync(events(hi, stop)), { headers: { 'content-encoding': 'gzip' } }),
    got: well,
  },
  'a compressed answer of Ollama': {
    ...ollama(gzipSync(lines(line('Hi', { done: true }))), { headers: { 'content-encoding': 'gzip' } }),
    got: well,
  },
  'a list of parts': {
    ...openai(events(delta({ content: [{ type: 'text', text: 'Hi' }] }), stop)),
    got: well,
  },
  // Tool calls are put together by id, and are text.
  'two calls at one place': {
    ...openai(
      events(
        called('{"city":"Rome"}', { index: 0, id: 'a' }),
        called('{"city":"Oslo"}', { index: 0, id: 'b' }),
        delta({}, 'tool_calls'),
      ),
    ),
    got: { calls: [{ city: 'Rome' }, { city: 'Oslo' }], reason: 'tool_calls' },
  },
  'a call in pieces that name no place': {
    ...openai(events(called('{"n":', { id: 'a' }), called('1}'), delta({}, 'stop'))),
    got: { calls: [{ n: 1 }], reason: 'tool_calls' },
  },
  'arguments that are no JSON': {
    ...openai(events(called('{"city": "Par', { index: 0, id: 'a' }), delta({}, 'tool_calls'))),
    got: { calls: ['{"city": "Par'], reason: 'tool_calls' },
  },
  // One choice was asked for.
  'more choices than one': {
    ...openai(
      events(
        {
          choices: [
            { index: 1, delta: { content: 'x' } },
            { index: 0, delta: { content: 'Hi' } },
          ],
        },
        { choices: [{ index: 1, delta: {}, finish_reason: 'length' }] },
        { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      ),
    ),
    got: well,
  },
  'another protocol': {
    ...openai('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', {
      raw: true,
      end: 'open',
    }),
    got: { code: 'AGENT_PROTOCOL' },
    v1: { status: 502, code: 'upstream_error' },
  },
  // Thinking between tags.
  'tags around thinking': {
    ...openai(events(delta({ content: '<thi' }), delta({ content: 'nk>Hm</think>\nHi' }), stop)),
    got: { ...well, thinking: 'Hm' },
  },
};

describe.each(Object.keys(doors))('%s tells of', (door) => {
  it.each(Object.entries(rows))('%s', async (_, { agent, script, got, v1 = got }) => {
    server.play(script);
    expect(await doors[door]?.(hive, agent)).toMatchObject(door === '/v1' ? v1 : got);
  });

  it('nothing of a server that is full for a moment', async () => {
    server.play([
      refused(429, { detail: 'slow down' }, { 'retry-after-ms': '5' }),
      { body: events(hi, stop) },
    ]);
    expect(await doors[door]?.(hive, 'openai')).toMatchObject(well);
    expect(server.chats.at(-1)?.body.messages).toHaveLength(1);
  });
});

it.each(Object.keys(doors))(
  '%s is answered by a server with no list and with what it wants',
  async (door) => {
    listless.play({ body: '{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}' });
    expect(await doors[door]?.(hive, 'plain')).toMatchObject(well);
    const { path, headers, body } = listless.chats.at(-1) ?? {};
    expect(path).toBe('/v1/chat/completions?v=1');
    expect(headers).toMatchObject({ 'api-key': 'k' });
    expect(body).toMatchObject({ model: 'm', stream: false, extra: [1] });
    expect(body).not.toHaveProperty('stream_options');
  },
);

it.each([
  ['openai', 'Well'],
  ['ollama', 'Well'],
  // Its models write no tags: what looks like one is text.
  ['plain', '<think>Hm</think>\n\nWell'],
])('what an answer of %s has between tags comes back to it as it is to be read', async (agent, sentBack) => {
  const upstream = agent === 'plain' ? listless : server;
  upstream.play({ status: 500 });
  const messages = [
    { role: 'user', content: 'one' },
    { role: 'assistant', content: '<think>Hm</think>\n\nWell' },
    { role: 'user', content: 'what is <think>?' },
  ];
  await post(hive, '/v1/chat/completions', { model: `${agent}/m`, messages });
  const sent = upstream.chats.at(-1)?.body.messages;
  expect(sent.map(({ content }: { readonly content: string }) => content)).toEqual([
    'one',
    sentBack,
    'what is <think>?',
  ]);
});
