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
const called = (index: number, more: object, args: string) =>
  delta({
    tool_calls: [
      { index, ...more, function: { ...('id' in more && { name: 'get_weather' }), arguments: args } },
    ],
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
  shape: answer(...content(['{"name":"Bonn",', '"people":', '336000}']), delta({}, 'stop')),
  reasoning: answer(delta({ reasoning_content: 'Hm' }), delta({ content: 'Hi' }), delta({}, 'stop')),
  refused: refused(400, 'no such thing'),
  long: refused(400, "This model's maximum context length is 9 tokens"),
  busy: refused(429, 'full', { 'retry-after': '1' }),
  broken: refused(500, 'it broke'),
  'breaks off': { body: events(delta({ content: 'Hi' })), end: 'close' },
};

function lastOf({ body }: Seen): string {
  const { content } = body.messages.at(-1);
  return typeof content === 'string' ? content : content.at(-1).text;
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
const city = { name: 'Bonn', people: 336000 };

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
  langchain_client: {
    invoked: [text, usage.total_tokens, 'stop'],
    streamed: text,
    'usage of a stream': usage.total_tokens,
    'tool calls and their results': [[{ city: 'Köln' }, { city: 'Bonn' }], text],
    'answer of a shape': city,
  },
};

describe.each(['uws', 'node'] as const)("Python's clients, over transport-%s", (transport) => {
  let model: ScriptedServer;
  let server: RunningServer;
  beforeAll(async () => {
    const asked = new Map<string, number>();
    model = await startScriptedServer((request) => {
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

  describe.each(Object.entries(programs))('%s', (program, wanted) => {
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
    const asked = (script: string) => model.chats.filter((request) => lastOf(request) === script).length;
    expect(asked('busy once')).toBe(2);
    expect(asked('busy once, streamed')).toBe(2);
  });

  it.each(['closed', 'left', 'timed out', 'over SSE', 'deleted', 'cancelled', 'over a socket'])(
    'the model no longer works for a stream that was %s',
    async (how) => {
      const request = model.chats.find((each) => lastOf(each) === `endless, ${how}`);
      await request?.closed;
      expect(request).toBeDefined();
    },
    20_000,
  );
});
