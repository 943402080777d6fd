import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StreamChunk } from '#kernel';
import type { AnswerEnd } from '#sdk/dialect';
import { chatShape, Lines } from '../../../plugins/endpoint-ollama/lines.js';
import { done, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { times } from '../../support/thorough.js';
import { look, StageAgent, withAgent } from './stage.js';

const agent = new StageAgent('stage');
let hive: Hive;
beforeAll(async () => {
  const elsewhere = Object.assign(new StageAgent('elsewhere'), { provider: 'openai', ignores: () => [] });
  hive = await startHive({ plugins: [withAgent(agent), withAgent(elsewhere)] });
});
afterAll(() => hive.close());
beforeEach(() => {
  agent.script = [text('Hello '), text('there'), done];
  agent.requests.length = 0;
});

const send = (path: string, body: string | object, headers: HeadersInit = {}) =>
  fetch(`${hive.url}/api/${path}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const messages = [{ role: 'user', content: 'Hallo' }];
const chat = (more: object = {}) => send('chat', { model: 'stage', messages, ...more });
const asked = () => agent.requests.at(-1);

async function linesOf(response: Response) {
  const body = await response.text();
  expect(body.endsWith('\n')).toBe(true);
  return body
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('a stream', () => {
  it('is the default: lines of JSON, the last one done, with figures', async () => {
    const response = await chat();
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const [first, second, last, ...more] = await linesOf(response);
    expect(more).toEqual([]);
    const head = { model: 'stage', created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) };
    const said = (content: string) => ({ ...head, message: { role: 'assistant', content }, done: false });
    expect([first, second]).toEqual([said('Hello '), said('there')]);
    expect(last).toMatchObject({ ...said(''), done: true, done_reason: 'stop' });
    expect(last).toMatchObject({ prompt_eval_count: 1, eval_count: 2 });
    const durations = Object.entries(last).filter(([name]) => name.endsWith('_duration'));
    for (const [name, value] of durations) {
      expect(['total_duration', 'prompt_eval_duration', 'eval_duration']).toContain(name);
      expect(Number.isInteger(value)).toBe(true);
    }
  });

  it.each<[Partial<AnswerEnd>, object]>([
    [
      { timings: { queuedMs: 5, firstTokenMs: 25.5, totalMs: 125.5 } },
      { total_duration: 125_500_000, prompt_eval_duration: 20_500_000, eval_duration: 100_000_000 },
    ],
    // Only calls of tools came.
    [{ timings: { queuedMs: 5, totalMs: 25 } }, { total_duration: 25_000_000 }],
    [{ usage: { inputTokens: 0, outputTokens: 3 } }, { eval_count: 3 }],
    [{}, {}],
  ])('has durations in nanoseconds, and none that is not known: %j', (end, figures) => {
    const lines = new Lines(chatShape, (agentName) => agentName);
    lines.begin('a');
    lines.end({ reason: 'stop', agent: 'a', usage: undefined, timings: undefined, ...end });
    const { model, created_at, message, done: isDone, done_reason, ...rest } = JSON.parse(lines.take());
    expect(rest).toEqual(figures);
  });

  it('leaves out figures that are not known', async () => {
    agent.script = [text('Hi'), { type: 'done', reason: 'length' }];
    const last = (await linesOf(await chat())).at(-1);
    expect(last).toMatchObject({ done: true, done_reason: 'length' });
    expect(last).not.toHaveProperty('eval_count');
    expect(last).not.toHaveProperty('prompt_eval_count');
  });

  it('has the arguments of a call digit for digit, streamed and whole', async () => {
    const args = '{"id":12345678901234567890,"x":1.0}';
    agent.script = [look(args), { type: 'done', reason: 'tool_calls' }];
    for (const stream of [true, false]) {
      const told = await (await chat({ stream })).text();
      expect(told).toContain(`"arguments":${args}`);
      expect(told).toContain('"done_reason":"stop"');
    }
  });

  it.each([
    ['[1]', { input: '[1]' }],
    ['{"a":', { input: '{"a":' }],
    ['', {}],
  ])('has arguments that are no object, %j, in one', async (args, given) => {
    agent.script = [look(args), { type: 'done', reason: 'tool_calls' }];
    const [first] = await linesOf(await chat());
    expect(first.message.tool_calls[0].function.arguments).toEqual(given);
  });
});

describe('a request', () => {
  it('passes on options, those of Ollama for its agents alone', async () => {
    const options = {
      ...{ num_predict: 5, temperature: '0.5', top_p: 0.9, seed: 3, stop: 'x', presence_penalty: 1 },
      ...{ frequency_penalty: 2, top_k: 40, num_ctx: 2048, mirostat: 1, unknown: null },
    };
    const schema = { type: 'object', properties: {} };
    await (await chat({ options, format: schema, think: false, keep_alive: '5m' })).text();
    expect(asked()?.options).toEqual({
      ...{ temperature: 0.5, topP: 0.9, seed: 3, maxTokens: 5, stop: ['x'] },
      ...{ presencePenalty: 1, frequencyPenalty: 2, format: schema, reasoningEffort: 'none' },
      more: { top_k: 40 },
      providerOptions: { ollama: { keep_alive: '5m', options: { num_ctx: 2048, mirostat: 1 } } },
    });
  });

  it.each([
    ['no limit', { options: { num_predict: -1 } }],
    ['a seed that is drawn', { options: { seed: -1 } }],
    ['empty format and think', { format: '', think: '', keep_alive: null, options: {} }],
    ['null', { format: null, think: null, tools: null, options: null, stream: null }],
  ])('with %s has no option for it', async (_, more) => {
    await (await chat(more)).text();
    const given = Object.values(asked()?.options ?? {}).filter((value) => value !== undefined);
    expect(given).toEqual([]);
  });

  it('keeps the digits of earlier calls, and gives results to their calls', async () => {
    const call = (name: string, args: string) => `{"function":{"name":"${name}","arguments":${args}}}`;
    const body = `{"model":"stage","messages":[{"role":"user","content":"Hi"},
      {"role":"assistant","tool_calls":[${call('a', '{"n":12345678901234567890}')},${call('b', '"{}"')}]},
      {"role":"tool","content":"B","tool_name":"b"},{"role":"tool","content":"A"},
      {"role":"assistant","tool_calls":[${call('a', '{}')},${call('a', '{"n":1}')}]},
      {"role":"tool","content":"1","name":"a"},{"role":"tool","content":"2","tool_name":"a"}]}`;
    await (await send('chat', body)).text();
    expect(asked()?.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: '',
        toolCalls: [
          { id: 'call_1_0', name: 'a', arguments: '{"n":12345678901234567890}' },
          { id: 'call_1_1', name: 'b', arguments: '{}' },
        ],
      },
      { role: 'tool', content: 'B', toolCallId: 'call_1_1', toolName: 'b' },
      { role: 'tool', content: 'A', toolCallId: 'call_1_0', toolName: 'a' },
      expect.anything(),
      { role: 'tool', content: '1', toolCallId: 'call_4_0', toolName: 'a' },
      { role: 'tool', content: '2', toolCallId: 'call_4_1', toolName: 'a' },
    ]);
  });

  it.each([
    ['chat', { messages: [] }, { message: { role: 'assistant', content: '' } }],
    ['chat', {}, { message: { role: 'assistant', content: '' } }],
    ['generate', { prompt: '' }, { response: '' }],
  ])('of %s without a prompt asks no agent: %j', async (path, body, empty) => {
    const of = async (more: object) => (await send(path, { model: 'stage', ...body, ...more })).json();
    expect(await of({})).toMatchObject({ ...empty, model: 'stage', done: true, done_reason: 'load' });
    for (const keep of [0, '0', '0s', '0m'])
      expect(await of({ keep_alive: keep })).toMatchObject({ done_reason: 'unload' });
    expect(agent.requests).toEqual([]);
    expect((await send(path, { model: 'nope', ...body })).status).toBe(404);
  });

  it('names options of Ollama that an agent on another server does not get', async () => {
    const options = { num_ctx: 1, top_k: 1, seed: 1 };
    const warningOf = async (model: string) => {
      const response = await chat({ model, options, keep_alive: 5, think: true });
      await response.text();
      return response.headers.get('x-waggle-warning');
    };
    // The script of a server for other APIs, which takes all that has a name there.
    expect(await warningOf('elsewhere')).toBe('not passed on: think, keep_alive, options.num_ctx');
    expect(await warningOf('stage')).toBe('not passed on: top_k');
  });

  it('names what is not passed on', async () => {
    const response = await send('generate', {
      model: 'stage',
      prompt: 'a',
      template: '{{ x }}',
      context: [1],
    });
    await response.text();
    expect(response.headers.get('x-waggle-warning')).toBe('left out: "template", "context"');
  });

  it.each<[string, string, object]>([
    [
      'Open WebUI',
      'chat',
      {
        messages: [
          { role: 'system', content: 'Be brief' },
          { role: 'user', content: 'What?', images: ['iVBORw0KGgo='] },
        ],
        options: { temperature: 0.7, stop: [], num_ctx: null },
        stream: true,
        metadata: { session_id: 's', features: {} },
        keep_alive: '5m',
      },
    ],
    [
      'Open WebUI, which asks for a title',
      'chat',
      { messages: [{ role: 'user', content: 'A title' }], stream: false, options: { num_predict: 1000 } },
    ],
    [
      'Continue',
      'chat',
      {
        raw: undefined,
        options: {
          num_predict: 4096,
          num_ctx: 8192,
          stop: ['<|im_end|>'],
          mirostat: 0,
          num_thread: 8,
          min_p: 0,
        },
        keep_alive: 1800,
        stream: true,
        messages: [
          { role: 'user', content: 'Look' },
          {
            role: 'assistant',
            content: '',
            tool_calls: [{ function: { name: 'read_file', arguments: { path: 'a' }, index: 0 } }],
          },
          { role: 'tool', content: 'text', tool_name: 'read_file' },
        ],
        tools: [{ type: 'function', function: { name: 'read_file', parameters: { type: 'object' } } }],
      },
    ],
    [
      "Ollama's command",
      'generate',
      {
        prompt: 'hi',
        suffix: '',
        system: '',
        template: '',
        context: null,
        raw: false,
        format: '',
        options: {},
        think: null,
      },
    ],
    [
      'LangChain',
      'chat',
      {
        messages: [{ role: 'user', content: 'Hi', images: [], tool_calls: null }],
        format: '',
        options: { mirostat: null, num_gpu: null, stop: null },
        tools: [],
        keep_alive: null,
      },
    ],
  ])('of %s is answered', async (_, path, body) => {
    const response = await send(path, { model: 'stage', ...body });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('"done":true,"done_reason":"stop"');
    expect(agent.requests).toHaveLength(1);
  });

  it.each([
    ['text/plain', 200],
    ['application/x-www-form-urlencoded', 200],
    ['application/xml', 415],
  ])('of the type %s has the status %i', async (type, status) => {
    const response = await send('chat', { model: 'stage', messages }, { 'content-type': type });
    await response.text();
    expect(response.status).toBe(status);
  });

  it.each<[string, string, string, number, RegExp]>([
    ['an empty body', 'chat', '', 400, /^missing request body$/],
    ['no JSON', 'chat', '{', 400, /JSON/],
    ['no model', 'chat', '{}', 400, /^model is required$/],
    ['no object', 'chat', '[]', 400, /^expected map, got list$/],
    ['stream as text', 'chat', '{"model":"stage","stream":"true"}', 400, /^stream: /],
    [
      'think in another word',
      'chat',
      '{"model":"stage","think":"x"}',
      400,
      /^think: expected true or false or one of /,
    ],
    [
      'another format',
      'chat',
      '{"model":"stage","format":"xml"}',
      400,
      /^format: expected one of "", "json" or map /,
    ],
    ['no base64', 'generate', '{"model":"stage","prompt":"a","images":["?"]}', 400, /^images.0: .*base64/],
    [
      'content in parts',
      'chat',
      '{"model":"stage","messages":[{"role":"user","content":[]}]}',
      400,
      /content/,
    ],
    ['another role', 'chat', '{"model":"stage","messages":[{"role":"x"}]}', 400, /^messages.0.role: /],
    ['too deep a list', 'chat', `{"model":"stage","x":${'['.repeat(50)}${']'.repeat(50)}}`, 400, /32 levels/],
    ['another path', 'nope', '{}', 404, /nope/],
  ])('with %s is refused in the form of Ollama', async (_, path, body, status, message) => {
    const response = await send(path, body);
    expect(response.status).toBe(status);
    const answer = await response.json();
    expect(answer).toEqual({ error: expect.stringMatching(message) });
    expect(agent.requests).toEqual([]);
  });
});

describe('any answer', () => {
  const words = fc.string({ minLength: 1, unit: 'grapheme' });
  const chunk = fc.oneof(
    words.map((content): StreamChunk => ({ type: 'text', content })),
    words.map((content): StreamChunk => ({ type: 'thinking', content })),
    fc.json({ maxDepth: 2 }).map((json): StreamChunk => look(`{"value":${json}}`)),
  );

  it('is what the agent has said, read back from its lines', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(chunk, { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (chunks, isWhole) => {
          const unique = chunks.map((each, at) =>
            each.type === 'tool_call' ? { ...each, id: `c${at}` } : each,
          );
          const end: StreamChunk = { type: 'done', reason: 'length' };
          agent.script = isWhole ? [...unique, end] : [[...unique, end]];
          const told = await linesOf(await chat());
          const [one] = await linesOf(new Response(`${await (await chat({ stream: false })).text()}\n`));
          const said = (type: string) =>
            unique.map((each) => (each.type === type && 'content' in each ? each.content : '')).join('');
          const calls = unique.flatMap((each) =>
            each.type === 'tool_call' ? { id: each.id, args: JSON.parse(each.arguments) } : [],
          );
          for (const parts of [told, [one]]) {
            expect(parts.map(({ message }) => message.content).join('')).toBe(said('text'));
            expect(parts.map(({ message }) => message.thinking ?? '').join('')).toBe(said('thinking'));
            const read = parts.flatMap(({ message }) => message.tool_calls ?? []);
            expect(read.map(({ id, function: { arguments: args } }) => ({ id, args }))).toEqual(calls);
            expect(parts.filter(({ done: isDone }) => isDone)).toEqual([parts.at(-1)]);
          }
        },
      ),
      { numRuns: times(200) },
    );
  });
});
