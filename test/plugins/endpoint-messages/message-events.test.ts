import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin, type Reply, type StreamChunk } from '#kernel';
import { AnswerReader, readWhole } from '#sdk/dialect';
import { messagesDocs } from '../../../plugins/endpoint-messages/docs.js';
import { MessageEvents } from '../../../plugins/endpoint-messages/message-events.js';
import { type MessageHead, messageObject } from '../../../plugins/endpoint-messages/message-object.js';
import { ScriptedAgent } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { times } from '../../support/thorough.js';

const scripted = new ScriptedAgent('scripted');
let hive: Hive;
beforeAll(async () => {
  hive = await startHive({
    config: { 'streams-memory': { maxKept: 4 } },
    plugins: [definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(scripted) })],
  });
});
afterAll(() => hive.close());

const head = (streamId: string, display: MessageHead['display'] = 'shown'): MessageHead => ({
  streamId,
  requestId: 'r',
  display,
  modelOf: (agent) => agent,
});

function start(chunks: readonly StreamChunk[]): Promise<Reply> {
  scripted.script = chunks;
  return hive.streams.start({
    agent: 'scripted',
    content: '',
    userId: 'ann',
    stateless: true,
    messages: [{ role: 'user', content: 'Hallo' }],
  });
}

async function eventsText(reply: Reply, display?: MessageHead['display']): Promise<string> {
  const events = new MessageEvents(head(reply.streamId, display));
  const reader = new AnswerReader(events, reply, 'scripted');
  let text = '';
  for await (const entries of reply.readPieces({ merge: false })) {
    reader.read(entries);
    text += events.take();
  }
  return text;
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into events freely
type Event = any;

/** Events whose name is their type, and which are documented. */
async function eventsIn(text: string): Promise<readonly Event[]> {
  const schema = messagesDocs.responses[200]?.content['text/event-stream'];
  const events = text
    .split('\n\n')
    .slice(0, -1)
    .map((event) => {
      const [, name, data] = /^event: (\w+)\ndata: ([^\n]+)$/.exec(event) ?? [];
      const value = JSON.parse(data as string);
      expect(value.type).toBe(name);
      return value;
    });
  for (const event of events)
    expect(await schema?.['~standard'].validate(event)).not.toHaveProperty('issues');
  return events;
}

interface Block {
  readonly type: string;
  text: string;
  readonly id?: string;
  signature?: string;
}

/** Reads blocks as clients do: one after the other, by their index. */
function blocksIn(events: readonly Event[]): readonly Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  for (const { type, index, content_block: start, delta } of events) {
    if (type === 'content_block_start') {
      expect([open, index]).toEqual([undefined, blocks.length]);
      open = { type: start.type, text: '', ...(start.id && { id: start.id }) };
      blocks.push(open as Block);
    } else if (type === 'content_block_delta') {
      expect(index).toBe(blocks.length - 1);
      if (!open) throw new Error('a delta without a block');
      if (delta.signature) open.signature = delta.signature;
      open.text += delta.text ?? delta.thinking ?? delta.partial_json ?? '';
    } else if (type === 'content_block_stop') {
      expect([open?.type, index]).toEqual([expect.any(String), blocks.length - 1]);
      open = undefined;
    } else expect(open).toBeUndefined();
  }
  return blocks;
}

const textOf = (blocks: readonly Block[], type: string) =>
  blocks.map((block) => (block.type === type ? block.text : '')).join('');

type Call = Extract<StreamChunk, { type: 'tool_call' }>;

/** A call in pieces that end with the whole, or alone. */
const callChunks = (id: string) =>
  fc
    .record({
      args: fc.oneof(
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()).map((value) => JSON.stringify(value)),
        fc.constantFrom('{}', '{"a"', '[1]', 'x', '{"n":12345678901234567890}'),
      ),
      cuts: fc.array(fc.nat(), { maxLength: 4 }),
      isPieced: fc.boolean(),
      executor: fc.constantFrom('client', 'client', 'client', 'server', undefined),
    })
    .map(({ args, cuts, isPieced, executor }): readonly StreamChunk[] => {
      const who = executor && { executor };
      const call = { type: 'tool_call' as const, id, name: 'look', arguments: args, ...who };
      if (!isPieced || executor === 'server') return [call];
      const ends = [...new Set(cuts.map((cut) => cut % (args.length + 1)))].sort((a, b) => a - b);
      return [
        ...ends.map((end, at) => {
          const from = ends[at - 1] ?? 0;
          return {
            type: 'tool_call_piece' as const,
            id,
            name: 'look',
            arguments: args.slice(from, end),
            from,
          };
        }),
        call,
      ];
    });

const saidChunk = fc.record({
  type: fc.constantFrom('text' as const, 'text' as const, 'thinking' as const),
  content: fc.string({ unit: 'grapheme', maxLength: 5 }),
});
const usage = { inputTokens: 1, outputTokens: 2 };
const ending = fc.record({
  type: fc.constant('done' as const),
  reason: fc.constantFrom('stop', 'tool_calls', 'length', 'other'),
  usage: fc.constantFrom(usage, { ...usage, cachedTokens: 1, reasoningTokens: 1 }),
});

/** Chunks of an answer: its tracks mixed at random, each in its order. */
const answers = fc
  .record({
    tracks: fc.tuple(
      fc.array(saidChunk, { maxLength: 10 }),
      callChunks('c1'),
      callChunks('c2'),
      callChunks('c3'),
    ),
    calls: fc.nat({ max: 3 }),
    order: fc.array(fc.nat({ max: 3 }), { maxLength: 40 }),
    end: ending,
  })
  .map(({ tracks, calls, order, end }): readonly StreamChunk[] => {
    const left = tracks.slice(0, calls + 1).map((track) => [...track]);
    const mixed = order.flatMap((place) => left[place]?.shift() ?? []);
    return [...mixed, ...left.flat(), end];
  })
  // An empty answer is an error.
  .filter((chunks) =>
    chunks.some((chunk) => chunk.type === 'tool_call' || ('content' in chunk && chunk.content !== '')),
  );

const inputOf = (text: string): unknown => {
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value && !Array.isArray(value)) return value;
  } catch {}
  return { INVALID_JSON: text };
};

describe('the events of a message', () => {
  it('hold the text, the thinking and the calls of the chunks, as does the whole message, and are the same again', async () => {
    await fc.assert(
      fc.asyncProperty(answers, async (chunks) => {
        const said = (type: string) =>
          chunks.map((chunk) => (chunk.type === type && 'content' in chunk ? chunk.content : '')).join('');
        const calls = chunks.filter(
          (chunk): chunk is Call => chunk.type === 'tool_call' && chunk.executor !== 'server',
        );
        const reply = await start(chunks);
        const [text, again] = await Promise.all([eventsText(reply), eventsText(reply)]);
        expect(again).toBe(text);
        expect(await eventsText(reply)).toBe(text);

        const events = await eventsIn(text);
        const blocks = blocksIn(events);
        expect(textOf(blocks, 'text')).toBe(said('text'));
        expect(textOf(blocks, 'thinking')).toBe(said('thinking'));
        expect(blocks.filter(({ type, signature }) => type === 'thinking' && !signature)).toEqual([]);
        const read = blocks.filter(({ type }) => type === 'tool_use').map(({ id, text }) => [id, text]);
        expect(new Map(read as never)).toEqual(new Map(calls.map(({ id, arguments: args }) => [id, args])));
        expect(read).toHaveLength(calls.length);
        expect(events[0].type).toBe('message_start');
        expect(events.slice(-2).map(({ type }) => type)).toEqual(['message_delta', 'message_stop']);

        const answer = await readWhole(reply, 'scripted', new AbortController().signal);
        if (!answer) throw new Error('no answer');
        const whole = messageObject(answer, head(reply.streamId)) as Event;
        const shape = messagesDocs.responses[200]?.content['application/json'];
        expect(await shape?.['~standard'].validate(whole)).not.toHaveProperty('issues');
        expect(textOf(whole.content, 'text')).toBe(said('text'));
        const thoughts = whole.content.map(({ thinking = '' }) => thinking).join('');
        expect(thoughts).toBe(said('thinking'));
        const { stop_reason } = events.at(-2).delta;
        expect(whole).toMatchObject({
          stop_reason,
          id: events[0].message.id,
          model: events[0].message.model,
        });
        expect(whole.usage).toMatchObject(events.at(-2).usage);
        // An agent that goes on after its calls has run them itself.
        const isForClient = stop_reason === 'tool_use' || stop_reason === 'max_tokens';
        const inputs = whole.content.flatMap((block: Event) =>
          block.type === 'tool_use' ? [[block.id, block.input]] : [],
        );
        const wanted = isForClient ? calls.map(({ id, arguments: args }) => [id, inputOf(args)]) : [];
        expect(new Map(inputs)).toEqual(new Map(wanted as never));
      }),
      { numRuns: times(1000) },
    );
  }, 60_000);

  it('come while a call grows, and while it is open only those of its own', () => {
    const events = new MessageEvents(head('s'));
    const call = (id: string, args: string) => ({ id, name: 'look', arguments: args });
    const [text, json] = [
      (text: string) => ['text_delta', text],
      (text: string) => ['input_json_delta', text],
    ];
    const steps: readonly (readonly [step: () => void, ...shown: readonly (readonly string[])[]])[] = [
      [() => events.begin('a')],
      [() => events.text('x'), text('x')],
      [() => events.call(0, call('c0', '{"a"')), json('{"a"')],
      [() => events.callPart(0, ':1'), json(':1')],
      [() => events.text('y')],
      [() => events.call(1, call('c1', '{'))],
      [() => events.callPart(1, '"b":2')],
      [() => events.callPart(0, '}'), json('}')],
      [() => events.callEnd(0), text('y'), json('{"b":2')],
      [() => events.callPart(1, '}'), json('}')],
      [() => events.text('z')],
      [() => events.callEnd(1), text('z')],
      [() => events.text('!'), text('!')],
    ];
    for (const [step, ...shown] of steps) {
      step();
      const deltas = [...events.take().matchAll(/"delta":(\{.*\})\}$/gm)].map(([, json]) =>
        Object.values(JSON.parse(json as string)),
      );
      expect(deltas).toEqual(shown);
    }
  });

  it.each(['none', 'omitted'] as const)('hold no thinking that is not to be shown: %s', async (display) => {
    const reply = await start([
      { type: 'text', content: 'a' },
      { type: 'thinking', content: 'secret' },
      { type: 'text', content: 'b' },
      { type: 'done', reason: 'stop' },
    ]);
    const text = await eventsText(reply, display);
    expect(text).not.toContain('secret');
    const blocks = blocksIn(await eventsIn(text));
    const answer = await readWhole(reply, 'scripted', new AbortController().signal);
    const whole = messageObject(answer as never, head(reply.streamId, display)) as Event;
    const types = display === 'none' ? ['text'] : ['text', 'thinking', 'text'];
    expect(blocks.map(({ type }) => type)).toEqual(types);
    expect(whole.content.map(({ type }: Event) => type)).toEqual(types);
    expect(JSON.stringify(whole)).not.toContain('secret');
  });

  it('end with an error, and with nothing after it', async () => {
    scripted.script = [{ type: 'text', content: 'a' }, new Error('secret')];
    const reply = await hive.streams.start({ agent: 'scripted', content: 'Hallo', userId: 'ann' });
    const events = await eventsIn(await eventsText(reply));
    expect(events.map(({ type }) => type)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'error',
    ]);
    expect(events.at(-1)).toEqual({
      type: 'error',
      error: { type: 'api_error', message: expect.not.stringContaining('secret') },
      request_id: 'r',
    });
  });

  it('begin and end where there is nothing to show', async () => {
    const reply = await start([
      { type: 'thinking', content: 'secret' },
      { type: 'done', reason: 'length' },
    ]);
    const events = await eventsIn(await eventsText(reply, 'none'));
    expect(events.map(({ type }) => type)).toEqual(['message_start', 'message_delta', 'message_stop']);
  });
});
