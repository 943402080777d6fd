import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin, type StreamChunk } from '#kernel';
import { ScriptedAgent } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import { times } from '../support/thorough.js';
import { WsClient } from '../support/ws-client.js';

/** An answer as a client reads it. */
interface Read {
  text: string;
  thinking: string;
  /** Names and arguments. */
  calls: [string, string][];
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape.
type Json = any;

/** A dialect: how to ask, and how to read one of its events. */
interface Dialect {
  readonly path: string;
  body(key: string): object;
  /** The events in a body, as they stand. */
  split(body: string): readonly string[];
  read(event: string, into: Read & { readonly open: Map<unknown, [string, string]> }): void;
}

const agent = new ScriptedAgent('scripted');
const question = { role: 'user', content: 'Hallo' };

/** The events of an event stream, each with its empty line. */
const ofEventStream = (body: string) => body.split(/(?<=\n\n)/);
const dataOf = (event: string): Json => {
  // Lines end with a line feed alone: U+2028 is a part of its text.
  const data =
    event
      .split('\n')
      .find((line) => line.startsWith('data: '))
      ?.slice('data: '.length) ?? '';
  return data === '[DONE]' || data === '' ? {} : JSON.parse(data);
};

/** Each of them is one row. */
const dialects: Readonly<Record<string, Dialect>> = {
  'chat completions': {
    path: '/v1/chat/completions',
    body: (user) => ({ model: 'scripted', messages: [question], stream: true, user }),
    split: ofEventStream,
    read(event, into) {
      const delta = dataOf(event).choices?.[0]?.delta ?? {};
      into.text += delta.content ?? '';
      into.thinking += delta.reasoning_content ?? '';
      for (const { index, function: part } of delta.tool_calls ?? []) {
        const call = into.open.get(index) ?? [part.name, ''];
        if (!into.open.has(index)) into.calls.push(call);
        into.open.set(index, call);
        call[1] += part.arguments;
      }
    },
  },
  responses: {
    path: '/v1/responses',
    body: (user) => ({ model: 'scripted', input: [question], stream: true, user }),
    split: ofEventStream,
    read: (event, into) => readResponseEvent(dataOf(event), into),
  },
  messages: {
    path: '/v1/messages',
    body: (user_id) => ({
      model: 'scripted',
      messages: [question],
      max_tokens: 100,
      stream: true,
      thinking: { type: 'enabled', budget_tokens: 1024 },
      metadata: { user_id },
    }),
    split: ofEventStream,
    read(event, into) {
      const { type, index, content_block: block, delta } = dataOf(event);
      if (type === 'content_block_start' && block.type === 'tool_use') {
        const call: [string, string] = [block.name, ''];
        into.open.set(index, call);
        into.calls.push(call);
      } else if (delta?.type === 'text_delta') into.text += delta.text;
      else if (delta?.type === 'thinking_delta') into.thinking += delta.thinking;
      else if (delta?.type === 'input_json_delta')
        (into.open.get(index) as [string, string])[1] += delta.partial_json;
    },
  },
  "Ollama's own": {
    path: '/api/chat',
    body: () => ({ model: 'scripted', messages: [question] }),
    split: (body) => body.split(/(?<=\n)/),
    read(event, into) {
      const { content = '', thinking = '', tool_calls: calls = [] } = JSON.parse(event || '{}').message ?? {};
      into.text += content;
      into.thinking += thinking;
      for (const { function: call } of calls) into.calls.push([call.name, call.arguments]);
    },
  },
  'our own events': {
    path: '/chat/stream',
    body: (user_id) => ({ agent: 'scripted', content: 'Hallo', user_id, request_id: 'again' }),
    split: ofEventStream,
    read: (event, into) => readFrame(dataOf(event), into),
  },
};

function readResponseEvent(event: Json, into: Parameters<Dialect['read']>[1]): void {
  if (event.type === 'response.output_text.delta') into.text += event.delta;
  else if (event.type === 'response.reasoning_text.delta') into.thinking += event.delta;
  else if (event.type === 'response.output_item.added' && event.item.type === 'function_call') {
    const call: [string, string] = [event.item.name, ''];
    into.open.set(event.item.id, call);
    into.calls.push(call);
  } else if (event.type === 'response.function_call_arguments.delta')
    (into.open.get(event.item_id) as [string, string])[1] += event.delta;
}

function readFrame(frame: Json, into: Read): void {
  if (frame.type === 'streaming_token') into.text += frame.content;
  else if (frame.type === 'streaming_thinking') into.thinking += frame.content;
  else if (frame.type === 'streaming_tool_call')
    into.calls.push([frame.name, frame.argumentsText ?? JSON.stringify(frame.arguments)]);
}

const empty = () => ({ text: '', thinking: '', calls: [], open: new Map() });
const readBy = (dialect: Dialect, events: readonly string[]): Read => {
  const { open: _, ...read } = events.reduce(
    (into, event) => {
      dialect.read(event, into);
      return into;
    },
    empty() as Parameters<Dialect['read']>[1],
  );
  return read;
};

/** The same with arguments as values: some dialects have objects in the place of their text. */
const plain = ({ calls, ...read }: Read) => ({
  ...read,
  calls: calls.map(([name, args]) => [name, typeof args === 'string' ? JSON.parse(args) : args]),
});

const anyText = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
  fc.constantFrom('\n', '\r\n\n', 'data: x\n\n', '"', '\\u0000', '\u2028', '[DONE]', '</think>', '🐝', ' '),
);
const json = fc.oneof(
  fc.json({ maxDepth: 1 }).map((value) => JSON.stringify({ value: JSON.parse(value) })),
  fc.constant('{}'),
);

/** Chunks as a model may write them: in pieces, in any order, several calls at a time. */
const chunks = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: anyText.map((content): StreamChunk => ({ type: 'text', content })) },
      { weight: 2, arbitrary: anyText.map((content): StreamChunk => ({ type: 'thinking', content })) },
      { weight: 1, arbitrary: fc.record({ args: json, cuts: fc.array(fc.nat(30), { maxLength: 4 }) }) },
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.flatMap((part, at) => ('args' in part ? callOf(part, at) : [part])));

function callOf({ args, cuts }: { args: string; cuts: readonly number[] }, at: number): StreamChunk[] {
  const call = { id: `c${at}`, name: `look_${at % 3}` };
  const places = [...new Set([0, ...cuts, args.length])].filter((cut) => cut <= args.length);
  places.sort((a, b) => a - b);
  const pieces = places.slice(0, -1).map(
    (from, index): StreamChunk => ({
      type: 'tool_call_piece',
      ...call,
      arguments: args.slice(from, places[index + 1]),
      from,
    }),
  );
  // Not every model server sends pieces.
  const whole: StreamChunk = { type: 'tool_call', ...call, arguments: args };
  return cuts.length === 0 ? [whole] : [...pieces, whole];
}

const expectedOf = (script: readonly StreamChunk[]): Read => {
  const read = empty();
  for (const chunk of script) {
    if (chunk.type === 'text') read.text += chunk.content;
    else if (chunk.type === 'thinking') read.thinking += chunk.content;
    else if (chunk.type === 'tool_call')
      (read.calls as [string, string][]).push([chunk.name, chunk.arguments]);
  }
  const { open: _, ...rest } = read;
  return rest;
};

describe('an answer', () => {
  let hive: Hive;
  beforeAll(async () => {
    hive = await startHive({
      plugins: [definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) })],
    });
  });
  afterAll(() => hive.close());

  const post = async ({ path, body }: Dialect, key: string) => {
    const response = await fetch(`${hive.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body(key)),
    });
    expect(response.status).toBe(200);
    return response.text();
  };
  let asked = 0;

  it('reads the same through every dialect, and from every event on the rest of it', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, async (script) => {
        agent.script = [...script, { type: 'done', reason: 'stop' }];
        const expected = expectedOf(script);
        const key = `k${asked++}`;
        for (const [name, dialect] of Object.entries(dialects)) {
          const body = await post(dialect, `${key}-${name}`);
          const events = dialect.split(body);
          expect({ name, ...plain(readBy(dialect, events)) }).toEqual({ name, ...plain(expected) });
          // Read again, when it has ended: the same events, so that a client can go on behind any of them.
          const again = dialect.split(await post(dialect, `${key}-${name}`));
          // Without numbers or a user, a reader begins anew: frames resume at a position, and lines of Ollama do not.
          if (/^our own|^Ollama/.test(name)) expect(plain(readBy(dialect, again))).toEqual(plain(expected));
          else expect(again).toEqual(events);
        }
      }),
      { numRuns: times(60) },
    );
  });

  it('goes on behind every event of a response, byte for byte, and over a WebSocket as well', async () => {
    const socket = await WsClient.connect(`${hive.url.replace('http', 'ws')}/v1/responses`);
    await fc.assert(
      fc.asyncProperty(chunks, async (script) => {
        agent.script = [...script, { type: 'done', reason: 'stop' }];
        const dialect = dialects.responses as Dialect;
        const events = dialect.split(await post(dialect, `r${asked++}`));
        const { id } = dataOf(events[0] as string).response;
        for (const [at, event] of events.slice(0, -1).entries()) {
          const after = dataOf(event).sequence_number;
          const response = await fetch(`${hive.url}/v1/responses/${id}?stream=true&starting_after=${after}`);
          expect(await response.text()).toBe(events.slice(at + 1).join(''));
        }
        const after = Math.floor(events.length / 2);
        const from = socket.frames.length;
        socket.send({ type: 'waggle:resume', response_id: id, starting_after: after });
        await socket.until(
          (frame) => socket.frames.indexOf(frame) >= from && frame.type === 'response.completed',
        );
        expect(socket.frames.slice(from)).toEqual(events.slice(after + 1, -1).map(dataOf));
      }),
      { numRuns: times(20) },
    );
    await socket.close();
  });
});
