import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { definePlugin, WaggleError } from '#kernel';
import agentOpenai from '../../../plugins/agent-openai/index.js';
import { ScriptedAgent } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import {
  events,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../../support/scripted-server.js';

const messages = [{ role: 'user' as const, content: 'Hallo' }];
const max_tokens = 100;
const asked = { model: 'back', messages, max_tokens };
const thinking = { type: 'enabled' as const, budget_tokens: 1024 };
const pixel = 'iVBORw0KGgo=';

const delta = (more: object, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta: more, finish_reason }],
});
const usage = {
  prompt_tokens: 10,
  completion_tokens: 7,
  total_tokens: 17,
  prompt_tokens_details: { cached_tokens: 4 },
  completion_tokens_details: { reasoning_tokens: 3 },
};
const answer = (...parts: readonly object[]): Script => ({
  headers: { 'content-type': 'text/event-stream' },
  body: events(...parts, { choices: [], usage }, '[DONE]'),
});
const text = 'Grüße, 世界 🐝!';
const said = answer(...[...text].map((content) => delta({ content })), delta({}, 'stop'));
const thought = answer(
  delta({ reasoning_content: 'H' }),
  delta({ reasoning_content: 'm' }),
  delta({ content: 'Hi' }),
  delta({}, 'stop'),
);
const called = (index: number, id: string, args: string) =>
  delta({
    tool_calls: [
      {
        index,
        ...(id && { id, type: 'function' }),
        function: { ...(id && { name: 'look' }), arguments: args },
      },
    ],
  });
const calls = answer(
  delta({ content: 'I look.' }),
  called(0, 'c1', '{"city"'),
  called(0, '', ':"Köln"}'),
  called(1, 'c2', '{"city":"Bonn"}'),
  delta({}, 'tool_calls'),
);
const look = {
  name: 'look',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } } },
};
const contentOfCalls = [
  { type: 'text', text: 'I look.' },
  { type: 'tool_use', id: 'c1', name: 'look', input: { city: 'Köln' } },
  { type: 'tool_use', id: 'c2', name: 'look', input: { city: 'Bonn' } },
];

let server: ScriptedServer;
let hive: Hive;
let client: Anthropic;
const scripted = new ScriptedAgent('scripted');

beforeAll(async () => {
  server = await startScriptedServer();
  hive = await startHive({
    config: { 'agent-queen': { busyTimeoutMs: 0 } },
    plugins: [definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(scripted) })],
  });
  const config = { baseUrl: `${server.url}/v1`, model: 'm' };
  await hive.kernel.load(agentOpenai, { id: 'agent-back', config });
  client = new Anthropic({ baseURL: hive.url, apiKey: 'any', maxRetries: 0 });
});
beforeEach(() => server.play(said));
afterAll(async () => {
  await hive.close();
  await server.close();
});

async function failure(promise: PromiseLike<unknown>): Promise<InstanceType<typeof Anthropic.APIError>> {
  try {
    await promise;
  } catch (error) {
    return error as InstanceType<typeof Anthropic.APIError>;
  }
  throw new Error('expected a failure');
}

describe('the official client', () => {
  it('gets a whole message', async () => {
    const message = await client.messages.create(asked);
    expect(message).toEqual({
      id: expect.stringMatching(/^msg_[\w-]{24}$/),
      type: 'message',
      role: 'assistant',
      model: 'back',
      content: [{ type: 'text', text, citations: [] }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      stop_details: null,
      container: null,
      usage: {
        input_tokens: 6,
        cache_read_input_tokens: 4,
        cache_creation_input_tokens: 0,
        cache_creation: null,
        output_tokens: 7,
        output_tokens_details: { thinking_tokens: 3 },
        server_tool_use: null,
        service_tier: null,
        inference_geo: null,
      },
    });
    expect(message._request_id).toMatch(/./);
  });

  it('puts the same message together from a stream', async () => {
    const whole = await client.messages.create({ ...asked, thinking });
    const { id: _, ...same } = whole;
    const stream = client.messages.stream({ ...asked, thinking });
    const pieces: string[] = [];
    stream.on('text', (piece) => pieces.push(piece));
    expect(await stream.finalMessage()).toMatchObject({
      ...same,
      usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 7 },
    });
    expect(pieces.join('')).toBe(text);
    expect(pieces.length).toBeGreaterThan(1);
    expect(stream.request_id).toMatch(/./);
  });

  it('reads the events one by one', async () => {
    server.play(thought);
    const types: string[] = [];
    for await (const event of await client.messages.create({ ...asked, thinking, stream: true }))
      types.push('delta' in event && 'type' in event.delta ? event.delta.type : event.type);
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      ...['thinking_delta', 'thinking_delta', 'signature_delta', 'content_block_stop'],
      'content_block_start',
      ...['text_delta', 'content_block_stop'],
      'message_delta',
      'message_stop',
    ]);
  });

  it.each<[what: string, thinking: Anthropic.ThinkingConfigParam | undefined, shown: string | undefined]>([
    ['that was asked for', thinking, 'Hm'],
    ['that adapts', { type: 'adaptive' }, 'Hm'],
    ['that is not to be shown', { ...thinking, display: 'omitted' }, ''],
    ['that was not asked for', undefined, undefined],
    ['that was not wanted', { type: 'disabled' }, undefined],
  ])('gets thinking %s, and sends it back', async (_, asks, shown) => {
    server.play(thought);
    const request = { ...asked, ...(asks && { thinking: asks }) };
    const wanted = [
      ...(shown === undefined
        ? []
        : [{ type: 'thinking', thinking: shown, signature: expect.stringMatching(/./) }]),
      { type: 'text', text: 'Hi' },
    ];
    const whole = await client.messages.create(request);
    const streamed = await client.messages.stream(request).finalMessage();
    expect(whole.content).toMatchObject(wanted);
    expect(whole.content).toHaveLength(wanted.length);
    expect(streamed.content).toMatchObject(wanted);
    expect(streamed.content).toHaveLength(wanted.length);

    const turns = [...messages, { role: 'assistant' as const, content: streamed.content }, ...messages];
    await client.messages.create({ ...request, messages: turns });
    expect(server.chats.at(-1)?.body.messages[1]).toEqual({
      role: 'assistant',
      content: 'Hi',
      ...(shown && { reasoning_content: shown }),
    });
  });

  it.each([true, false])('runs tools and sends their results (stream: %s)', async (isStream) => {
    server.play([calls, said]);
    const request = { ...asked, tools: [look], tool_choice: { type: 'any' as const } };
    const first = isStream
      ? await client.messages.stream(request).finalMessage()
      : await client.messages.create(request);
    expect(first).toMatchObject({ stop_reason: 'tool_use', content: contentOfCalls });

    const results = first.content.flatMap((block) =>
      block.type === 'tool_use'
        ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: '20 °C' }]
        : [],
    );
    const turns = [
      ...messages,
      { role: 'assistant' as const, content: first.content },
      { role: 'user' as const, content: [...results, { type: 'text' as const, text: 'And?' }] },
    ];
    const second = await client.messages.create({ ...request, messages: turns });
    expect(second.content).toMatchObject([{ type: 'text', text }]);
    const call = (id: string, args: string) => ({
      id,
      type: 'function',
      function: { name: 'look', arguments: args },
    });
    expect(server.chats.at(-1)?.body).toMatchObject({
      tool_choice: 'required',
      tools: [{ type: 'function', function: { name: 'look', parameters: look.input_schema } }],
      messages: [
        { role: 'user', content: 'Hallo' },
        {
          role: 'assistant',
          content: 'I look.',
          tool_calls: [call('c1', '{"city":"Köln"}'), call('c2', '{"city":"Bonn"}')],
        },
        { role: 'tool', tool_call_id: 'c1', content: '20 °C' },
        { role: 'tool', tool_call_id: 'c2', content: '20 °C' },
        { role: 'user', content: 'And?' },
      ],
    });
  });

  it.each([true, false])(
    'takes what a model server gave with a call out and in (stream: %s)',
    async (isStream) => {
      const extra_content = { google: { thought_signature: 'c2ln' } };
      const call = {
        index: 0,
        id: 'c1',
        type: 'function',
        function: { name: 'look', arguments: '{}' },
        extra_content,
      };
      server.play(answer(delta({ tool_calls: [call] }), delta({}, 'tool_calls')));
      const { content } = isStream
        ? await client.messages.stream(asked).finalMessage()
        : await client.messages.create(asked);
      expect(content).toMatchObject([{ type: 'tool_use', id: 'c1', extra_content }]);
      await client.messages.create({ ...asked, messages: [...messages, { role: 'assistant', content }] });
      expect(server.chats.at(-1)?.body.messages[1].tool_calls).toMatchObject([{ id: 'c1', extra_content }]);
    },
  );

  it.each<[what: string, args: string, input: object]>([
    ['none', '', {}],
    ['broken', '{"city": "Par', { INVALID_JSON: '{"city": "Par' }],
    ['a list', '[1]', { INVALID_JSON: '[1]' }],
    [
      'deeper than is read',
      `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`,
      { INVALID_JSON: expect.any(String) },
    ],
  ])('gets the arguments of a call that are %s', async (_, args, input) => {
    const call = { index: 0, id: 'c1', type: 'function', function: { name: 'look', arguments: args } };
    server.play(answer(delta({ tool_calls: [call] }), delta({}, 'tool_calls')));
    expect((await client.messages.create(asked)).content).toMatchObject([{ type: 'tool_use', input }]);
    let json = '';
    const stream = await client.messages.create({ ...asked, stream: true });
    for await (const event of stream)
      if (event.type === 'content_block_delta' && event.delta.type === 'input_json_delta')
        json += event.delta.partial_json;
    expect(json).toBe(args || '{}');
  });

  it('has a tool runner, which uses the paths of betas', async () => {
    server.play([calls, said]);
    const seen: string[] = [];
    const tool = betaTool({
      name: 'look',
      description: 'Looks',
      inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } as const,
      run: ({ city }) => {
        seen.push(city);
        return '20 °C';
      },
    });
    const last = await client.beta.messages.toolRunner({ ...asked, tools: [tool] });
    expect(seen).toEqual(['Köln', 'Bonn']);
    expect(last.content).toMatchObject([{ type: 'text', text }]);
  });

  it('gets an answer of a shape', async () => {
    server.play(answer(delta({ content: '{"name":"Bonn"}' }), delta({}, 'stop')));
    const format = zodOutputFormat(z.object({ name: z.string() }));
    const message = await client.messages.parse({ ...asked, output_config: { format } });
    expect(message.parsed_output).toEqual({ name: 'Bonn' });
    expect(server.chats.at(-1)?.body.response_format).toMatchObject({
      type: 'json_schema',
      json_schema: { schema: { type: 'object', properties: { name: { type: 'string' } } } },
    });
  });

  it('sends images', async () => {
    const image = { type: 'base64' as const, media_type: 'image/png' as const, data: pixel };
    const content = [
      { type: 'text' as const, text: 'What?' },
      { type: 'image' as const, source: image },
    ];
    await client.messages.create({ ...asked, messages: [{ role: 'user', content }] });
    expect(server.chats.at(-1)?.body.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What?' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
        ],
      },
    ]);
  });

  it('counts tokens, and lists models', async () => {
    const { input_tokens } = await client.messages.countTokens({ model: 'back', messages, tools: [look] });
    expect(input_tokens).toBeGreaterThan(3);
    const models: string[] = [];
    for await (const { id } of client.models.list()) models.push(id);
    expect(models).toContain('back');
    expect(await client.models.retrieve('back')).toMatchObject({
      id: 'back',
      type: 'model',
      display_name: 'back',
    });
  });

  it.each<[what: string, script: Script, stop_reason: string, chunk?: string]>([
    ['of its length', answer(delta({ content: 'Hi' }), delta({}, 'length')), 'max_tokens'],
    ['of a filter', answer(delta({ content: 'Hi' }), delta({}, 'content_filter')), 'refusal'],
    ['of a refusal', answer(delta({ content: 'Hi' }), delta({}, 'refusal')), 'refusal'],
    ['of a stop sequence, which model servers do not tell', said, 'end_turn'],
  ])('learns that an answer has ended because %s', async (_, script, stop_reason) => {
    server.play(script);
    expect(await client.messages.create(asked)).toMatchObject({ stop_reason });
    expect(await client.messages.stream(asked).finalMessage()).toMatchObject({ stop_reason });
  });

  it.each<[what: string, leave: (stream: ReturnType<Anthropic['messages']['stream']>) => void]>([
    ['aborted', (stream) => stream.abort()],
    ['left by its reader', (stream) => stream.controller.abort()],
  ])('ends the work of the model with a stream that is %s', async (_, leave) => {
    server.play({ body: events(delta({ content: 'Hi' })), end: 'open' });
    const stream = client.messages.stream(asked);
    stream.on('text', () => leave(stream));
    expect(await failure(stream.finalMessage())).toBeInstanceOf(Anthropic.APIUserAbortError);
    await server.chats.at(-1)?.closed;
  });

  it('ends it with a whole answer that is no longer wanted', async () => {
    server.play({ body: events(delta({ content: 'Hi' })), end: 'open' });
    const before = server.chats.length;
    const abort = new AbortController();
    const request = failure(client.messages.create(asked, { signal: abort.signal }));
    while (server.chats.length === before) await new Promise((next) => setTimeout(next, 5));
    abort.abort();
    expect(await request).toBeInstanceOf(Anthropic.APIUserAbortError);
    await server.chats.at(-1)?.closed;
  });
});

describe('the official client gets typed errors', () => {
  const refused = (status: number, message: string, headers = {}): Script => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ error: { message } }),
  });
  const { BadRequestError, NotFoundError, RateLimitError, InternalServerError, OverloadedError } = Anthropic;

  it.each<
    [
      what: string,
      script: Script,
      error: new (...args: never[]) => Error,
      type: string,
      status: number,
      says: RegExp,
    ]
  >([
    [
      'a request that the model refuses',
      refused(400, 'no such thing'),
      BadRequestError,
      'invalid_request_error',
      400,
      /no such thing/,
    ],
    [
      'a prompt that is too long, which Claude Code then shortens',
      refused(400, "This model's maximum context length is 9 tokens"),
      BadRequestError,
      'invalid_request_error',
      400,
      /^prompt is too long: /,
    ],
    ['a rate limit', refused(429, 'full'), RateLimitError, 'rate_limit_error', 429, /busy/],
    ['a model server that is full', refused(503, 'full'), OverloadedError, 'overloaded_error', 529, /busy/],
    [
      'a model server that breaks',
      refused(500, 'it broke'),
      InternalServerError,
      'api_error',
      502,
      /it broke/,
    ],
    [
      'an answer that breaks off at once',
      { body: '', end: 'close' },
      InternalServerError,
      'api_error',
      502,
      /./,
    ],
  ])('for %s', async (_, script, kind, type, status, says) => {
    server.play(script);
    for (const stream of [false, true]) {
      const error = await failure(client.messages.create({ ...asked, stream }));
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject({ status, type, apiMessage: expect.stringMatching(says) });
      expect(error.requestID).toMatch(/./);
      expect((error.error as { request_id: string }).request_id).toBe(error.requestID);
    }
  });

  it.each<[what: string, more: object]>([
    ['an agent', { model: 'nobody' }],
    ['a model of an agent', { model: 'nobody/x' }],
  ])('for %s that is none', async (_, more) => {
    const error = await failure(client.messages.create({ ...asked, ...more }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({
      type: 'not_found_error',
      apiMessage: expect.stringContaining('/v1/models'),
    });
  });

  it('for a request that is too large', async () => {
    const content = 'x'.repeat(33 << 20);
    const error = await failure(client.messages.create({ ...asked, messages: [{ role: 'user', content }] }));
    expect(error).toMatchObject({ status: 413, type: 'request_too_large' });
  });

  it('in the middle of a stream, after the text so far', async () => {
    server.play({ body: events(delta({ content: 'Hi' })), end: 'close' });
    let text = '';
    const stream = client.messages.stream(asked).on('text', (piece) => {
      text += piece;
    });
    expect(await failure(stream.finalMessage())).toMatchObject({ type: 'api_error' });
    expect(text).toBe('Hi');
  });

  it('asks again where the model server had no room, and only there', async () => {
    const again = client.withOptions({ maxRetries: 1 });
    server.play([refused(503, 'full', { 'retry-after': '0' }), said]);
    expect(await again.messages.create(asked)).toMatchObject({ content: [{ text }] });
    server.play([refused(500, 'it broke'), said]);
    const before = server.chats.length;
    expect(await failure(again.messages.create(asked))).toBeInstanceOf(InternalServerError);
    expect(server.chats.length).toBe(before + 1);
  });

  it.each<[code: 'QUEUE_FULL' | 'SHUTTING_DOWN', error: WaggleError]>([
    ['QUEUE_FULL', new WaggleError('QUEUE_FULL', { limit: 1, what: 'replies', retryAfterMs: 10 })],
    ['SHUTTING_DOWN', new WaggleError('SHUTTING_DOWN', {})],
  ])('for a server that has no room: %s', async (_, error) => {
    scripted.script = [error];
    expect(await failure(client.messages.create({ ...asked, model: 'scripted' }))).toBeInstanceOf(
      OverloadedError,
    );
  });
});
