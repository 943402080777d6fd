import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  events,
  type Script,
  type ScriptedServer,
  type Seen,
  startScriptedServer,
} from '../support/scripted-server.js';
import { type RunningServer, startServer } from '../support/server.js';
import { casesOf } from './python.js';

const delta = (more: object, finish_reason: string | null = null) => ({
  choices: [{ delta: more, finish_reason }],
});
const text = 'Grüße, 世界 🐝!';
const used = { choices: [], usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 } };
const usage = used.usage;
const answer = (...deltas: readonly object[]): Script => ({
  body: events(...deltas, used, '[DONE]'),
  headers: { 'content-type': 'text/event-stream' },
});
const content = (pieces: Iterable<string>) => [...pieces].map((piece) => delta({ content: piece }));
const whole = answer(...content(text), delta({}, 'stop'));
const endless: Script = { body: events(delta({ content: 'Hi' })), end: 'open' };
const called = (index: number, more: object, args: string, name = 'get_weather') =>
  delta({
    tool_calls: [{ index, ...more, function: { ...('id' in more && { name }), arguments: args } }],
  });
const refused = (status: number, message: string, headers = {}): Script => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({ error: { message } }),
});

/** What the model server plays, by the last message. */
const scripts: Readonly<Record<string, Script>> = {
  text: whole,
  calls: answer(
    called(0, { id: 'c1', type: 'function' }, ''),
    called(0, {}, '{"city":'),
    called(0, {}, '"Köln"}'),
    called(1, { id: 'c2', type: 'function' }, '{"city":"Bonn"}'),
    delta({}, 'tool_calls'),
  ),
  'hands over': answer(
    called(0, { id: 'c3', type: 'function' }, '{}', 'transfer_to_expert'),
    delta({}, 'tool_calls'),
  ),
  '{"assistant": "Expert"}': whole,
  shape: answer(...content(['{"name":"Bonn",', '"people":', '336000}']), delta({}, 'stop')),
  reasoning: answer(delta({ reasoning_content: 'Hm' }), delta({ content: 'Hi' }), delta({}, 'stop')),
  refused: refused(400, 'no such thing'),
  long: refused(400, "This model's maximum context length is 9 tokens"),
  busy: refused(429, 'full', { 'retry-after': '1' }),
  broken: refused(500, 'it broke'),
  'breaks off': { body: events(delta({ content: 'Hi' })), end: 'close' },
};

const vectors: Script = {
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    data: [0, 1].map((index) => ({ index, embedding: [index, 0.5] })),
    usage: { prompt_tokens: 2 },
  }),
};
const vector: Script = { ...vectors, body: JSON.stringify({ data: [{ index: 0, embedding: [0, 0.5] }] }) };

function lastOf({ body }: Seen): string {
  const { content } = body.messages.at(-1);
  const isText = ({ type }: { readonly type: string }) => type === 'text';
  return typeof content === 'string' ? content : content.findLast(isText).text;
}

interface Failure {
  readonly class: string;
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly type: unknown;
}
const failed = (name: string, status: number, code: string, param: string | null = null): Failure => ({
  class: name,
  status,
  code,
  param,
  type: expect.any(String),
});
const calls = [
  ['c1', 'get_weather', '{"city":"Köln"}'],
  ['c2', 'get_weather', '{"city":"Bonn"}'],
];
const both = [
  [0, 0.5],
  [1, 0.5],
];
const city = { name: 'Bonn', people: 336000 };
const block = { text: ['text', text], thinking: ['thinking', 'Hm'], hi: ['text', 'Hi'] };
const toolUses = calls.map(([id, name, args]) => ['tool_use', id, name, JSON.parse(args as string)]);
/** An error of Anthropic's client. */
const failedAs = (name: string, status: number, type: string) => ({ class: name, status, type, named: true });

/** What each case of a program gets. */
const programs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  openai_client: {
    models: ['openai/m', true],
    'whole answer': [text, 'stop', usage, true],
    'whole answer async': text,
    'streamed answer': text,
    'streamed answer async': text,
    'usage of a stream': [[], usage],
    'put together by the client': [text, 'stop', ['chunk', 'content.delta', 'content.done']],
    'tool calls': ['tool_calls', null, calls],
    'streamed tool calls': ['tool_calls', calls],
    'conversation with a tool': text,
    'answer of a shape': city,
    'streamed answer of a shape': city,
    reasoning: ['Hi', 'Hm'],
    'older completions': [text, text],
    'raw response': [200, expect.stringMatching(/^application\/json/), text],
    'all kinds of options': text,
    embeddings: [both, both],
    'model that is none': failed('NotFoundError', 404, 'model_not_found', 'model'),
    'other api': failed('NotFoundError', 404, 'unknown_route'),
    'field that is wrong': failed('BadRequestError', 400, 'invalid_value', 'temperature'),
    'request that the model refuses': failed('BadRequestError', 400, 'invalid_request'),
    'prompt that is too long': failed('BadRequestError', 400, 'context_length_exceeded'),
    'model that is busy': failed('RateLimitError', 429, 'rate_limit_exceeded'),
    'model that is busy once': text,
    'model that is busy once streamed': text,
    'model that breaks': failed('InternalServerError', 500, 'agent_failed'),
    'model that breaks off': { class: 'APIError', code: 'upstream_error', message: expect.any(String) },
    'stream that is closed': 'Hi',
    'stream that is closed async': 'Hi',
    'request that takes too long': expect.objectContaining({ class: 'APITimeoutError' }),
  },
  responses_client: {
    whole: [text, 'completed', usage.total_tokens],
    'whole async': text,
    streamed: text,
    'put together by the client': [text, true],
    'answer of a shape': city,
    'tool calls and their results': [calls, text],
    reasoning: ['Hm', 'Hi'],
    picture: text,
    conversation: [text, ['text']],
    'retrieved from an event on': [true, true],
    'background that is cancelled': [
      'in_progress',
      'cancelled',
      'cancelled',
      failed('NotFoundError', 404, 'response_not_found'),
    ],
    'stream that is closed': 'Hi',
    socket: [text, text, true],
    'socket async': text,
    'socket that is closed': 'Hi',
    'error over a socket': ['error', 'previous_response_not_found', 'previous_response_id'],
    'model that is none': failed('NotFoundError', 404, 'model_not_found', 'model'),
    'field that is wrong': failed('BadRequestError', 400, 'invalid_value', 'temperature'),
    'prompt that is too long': failed('BadRequestError', 400, 'context_length_exceeded'),
    'model that is busy': failed('RateLimitError', 429, 'rate_limit_exceeded'),
    'model that breaks': failed('InternalServerError', 500, 'agent_failed'),
    'model that breaks off': ['response.failed', 'upstream_error'],
  },
  anthropic_client: {
    models: ['openai/m', true],
    'whole message': [[block.text], 'end_turn', [5, 7], true],
    'whole message async': [block.text],
    'streamed text': text,
    'streamed message async': [[block.text], 'end_turn', [5, 7]],
    'events of a stream': [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
    'tool calls': ['tool_use', toolUses],
    'streamed tool calls': ['tool_use', toolUses],
    'conversation with a tool': [block.text],
    'message of a shape': city,
    thoughts: [[block.thinking, block.hi], [block.thinking, block.hi], [block.hi]],
    'thoughts sent back': [block.text],
    'message with an image': [block.text],
    'tokens counted': true,
    betas: [block.text],
    'model that is none': failedAs('NotFoundError', 404, 'not_found_error'),
    'field that is wrong': failedAs('BadRequestError', 400, 'invalid_request_error'),
    'request that the model refuses': failedAs('BadRequestError', 400, 'invalid_request_error'),
    'prompt that is too long': failedAs('BadRequestError', 400, 'invalid_request_error'),
    'model that is busy': failedAs('RateLimitError', 429, 'rate_limit_error'),
    'model that is busy once': [block.text],
    'model that breaks': failedAs('InternalServerError', 502, 'api_error'),
    'model that breaks off': failedAs('APIStatusError', 200, 'api_error'),
    'stream that is closed': 'Hi',
    'stream that is closed async': 'Hi',
    'request that takes too long': { class: 'APITimeoutError' },
  },
  sse_client: {
    events: [text, 'streaming_start', 'streaming_end', String(text.length)],
    'events async': text,
    'taken up again': text.slice(3),
    'error before the first token': ['error', 'AGENT_FAILED'],
    'stream that is left': 'Hi',
    'stream that is cancelled': [true, 'cancelled'],
  },
  websockets_client: {
    stream: [text, 'streaming_start', 'r1', 'streaming_end', 'stop'],
    'streams async': { a: text, b: text },
    'ping of the protocol': true,
    'compression that is offered': text,
    cancel: ['cancelled', 'client'],
    'socket that is closed': 'Hi',
    'bytes that are no text': 1003,
  },
  agents_client: {
    tools: [
      text,
      [
        'tool_call_item',
        'tool_call_item',
        'tool_call_output_item',
        'tool_call_output_item',
        'message_output_item',
      ],
    ],
    'tools streamed': [text, text],
    'tools over a socket': [text, text],
    'tools with chat completions': [text, text],
    handoff: ['Expert', text],
    'previous response': text,
    session: [text, 4],
  },
  langchain_client: {
    invoked: [text, usage.total_tokens, 'stop'],
    streamed: text,
    'usage of a stream': usage.total_tokens,
    'tool calls and their results': [[{ city: 'Köln' }, { city: 'Bonn' }], text],
    'answer of a shape': city,
    embeddings: both,
    'of ollama': [text, text, [{ city: 'Köln' }, { city: 'Bonn' }]],
    'embeddings of ollama': both,
  },
  ollama_client: {
    models: ['queen', true, ['completion', 'tools'], true],
    'whole answer': [text, 'stop', 5, 7],
    'whole answer async': text,
    'streamed answer': [text, true],
    'streamed answer async': text,
    generated: [text, text],
    thinking: ['Hi', 'Hm'],
    'tool calls and their results': [
      'stop',
      [
        ['get_weather', { city: 'Köln' }],
        ['get_weather', { city: 'Bonn' }],
      ],
      text,
    ],
    'answer of a shape': JSON.stringify(city),
    'image of a message': text,
    embeddings: [both, 2, [0, 0.5]],
    'model that is none': [404, "model 'nope' not found"],
    'request that the model refuses': [400, expect.stringMatching(/no such thing/)],
    'model that is busy': [429, expect.stringMatching(/busy/)],
    'model that breaks off': [-1, expect.stringMatching(/ended before/)],
    'model to pull': [501, expect.stringMatching(/manages no models/)],
    'stream that is left': 'Hi',
  },
};

/** Programs that speak through a client of another one: once is enough. */
const onOne = /^(agents|langchain)_client$/;

describe.each(['uws', 'node'] as const)("Python's clients, over transport-%s", (transport) => {
  let model: ScriptedServer;
  let server: RunningServer;
  const chats = () => model.chats.filter(({ path }) => !path.endsWith('/embeddings'));
  beforeAll(async () => {
    const asked = new Map<string, number>();
    model = await startScriptedServer((request) => {
      if (request.path.endsWith('/embeddings')) return request.body.input.length === 1 ? vector : vectors;
      const script = lastOf(request);
      const times = (asked.get(script) ?? 0) + 1;
      asked.set(script, times);
      if (script.startsWith('busy once')) return times === 1 ? (scripts.busy as Script) : whole;
      return scripts[script] ?? endless;
    });
    const plugins = {
      'agent-openai': { config: { baseUrl: `${model.url}/v1` } },
      // A full model is for the client to ask again.
      'agent-queen': { config: { busyTimeoutMs: 0 } },
      // A stream that ends in time was stopped, and not forgotten.
      'streams-memory': { config: { disconnectGraceMs: 600_000 } },
    };
    server = await startServer({ transport, config: { plugins } });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await model.close();
  });

  const mine = Object.entries(programs).filter(([program]) => transport === 'uws' || !onOne.test(program));
  describe.each(mine)('%s', (program, wanted) => {
    let got: ReadonlyMap<string, unknown>;
    beforeAll(async () => {
      got = await casesOf(program, server.url);
    }, 110_000);

    it.each(Object.entries(wanted))('%s', (name, value) => {
      expect(got.get(name)).toEqual(value);
    });

    it('has no other cases', () => {
      expect([...got.keys()]).toEqual(Object.keys(wanted));
    });
  });

  it('asks the model again only where nothing ran', () => {
    const asked = (script: string) => chats().filter((request) => lastOf(request) === script).length;
    expect(asked('busy once')).toBe(2);
    expect(asked('busy once, streamed')).toBe(2);
    expect(asked('busy once for a message')).toBe(2);
  });

  it.each([
    ...['closed', 'of Ollama', 'left', 'timed out', 'over SSE', 'deleted', 'cancelled', 'over a socket'],
    ...['in the background', 'of a response', 'over a responses socket'],
    ...['a closed message', 'a left message', 'a late message'],
  ])(
    'the model no longer works for a stream that was %s',
    async (how) => {
      const request = chats().find((each) => lastOf(each) === `endless, ${how}`);
      await request?.closed;
      expect(request).toBeDefined();
    },
    20_000,
  );
});
