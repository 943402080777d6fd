import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  CancelReason,
  Chat,
  ChatStreams,
  EventBus,
  EventName,
  LogEntry,
  PieceEntry,
  Reply,
  ReplyReader,
  StartCommand,
  StreamChunk,
  StreamFrame,
  Timings,
} from '#kernel';
import { Bus } from '../../kernel/kernel-bus.js';
import { Registry } from '../../kernel/registry.js';
import { config as queenConfig } from '../../plugins/agent-queen/config.js';
import { Queen } from '../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../plugins/store-memory/config.js';
import { MemoryStore } from '../../plugins/store-memory/memory-store.js';
import { call, done, ScriptedAgent, type Step, text, unstamped } from '../support/agents.js';
import { times } from '../support/thorough.js';
import { conversationOrderContract } from './conversation-order.contract.js';

/** Limits that every implementation has, under these names. */
export interface StreamLimits {
  readonly maxRunning?: number;
  readonly maxWaiting?: number;
  readonly maxWaitingPerConversation?: number;
  readonly replyLimitChars?: number;
  readonly replyTimeoutMs?: number;
  readonly cancelTimeoutMs?: number;
  readonly disconnectGraceMs?: number;
  readonly keepMs?: number;
  readonly maxKept?: number;
  readonly totalLimitChars?: number;
}

/** What its plugin does with an implementation when the server stops. */
export interface StreamsSubject extends ChatStreams {
  drain(deadline: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

type Create = (chat: Chat, limits: StreamLimits, bus: EventBus) => StreamsSubject;

let requests = 0;
/** A request of its own each time. */
const ask = () => ({ userId: 'ann', content: 'Hi', requestId: `q${++requests}` });

async function read(reply: Reply): Promise<readonly LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const batch of reply.read()) entries.push(...batch);
  return entries;
}

const framesOf = async (reply: Reply) => (await read(reply)).map((entry) => entry.frame);
const types = (frames: readonly StreamFrame[]) => frames.map((frame) => frame.type);
const words = (frames: readonly StreamFrame[]) =>
  frames.map((frame) => (frame.type === 'streaming_token' ? frame.content : '')).join('');

/** Resolves when the reply's log holds a frame of this type. */
async function untilFrame(reply: Reply, type: StreamFrame['type']): Promise<void> {
  for await (const batch of reply.read()) if (batch.some((entry) => entry.frame.type === type)) return;
  throw new Error(`no ${type}`);
}

/** Resolves when the reply was told that so many are before it. */
async function untilAhead(reply: Reply, ahead: number): Promise<void> {
  for await (const batch of reply.read())
    if (batch.some(({ frame }) => frame.type === 'queue_update' && frame.ahead === ahead)) return;
  throw new Error(`never ${ahead} ahead`);
}

/** Resolves when the reply has ended, without reading it. */
async function ended(reply: Reply): Promise<void> {
  while (!reply.ended) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Readers are woken in the turn after the one in which something was said. */
async function untilWoken(): Promise<void> {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
}

/** A letter for the type of each code unit. */
const unitTypes = (type: string, content: string) => (type === 'text' ? 'x' : 'h').repeat(content.length);

/** What a reader gives to a listener who takes it as soon as it is there, batch by batch. */
async function* listening(reader: ReplyReader): AsyncGenerator<readonly LogEntry[]> {
  const batches: (readonly LogEntry[])[] = [];
  const over = new Promise<void>((resolve) => {
    const readable = () => {
      let batch = reader.take();
      for (; batch && batch.length > 0; batch = reader.take()) batches.push(batch);
      if (!batch) resolve();
    };
    reader.onReadable({ readable });
    readable();
  });
  await over;
  yield* batches;
}

/** Batches that somebody else puts in, for an agent to yield. */
class Mailbox {
  readonly #batches: (readonly StreamChunk[] | Error)[] = [];
  #wake: (() => void) | undefined;

  put(batch: readonly StreamChunk[]): void {
    this.#batches.push(batch);
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#batches.push(error);
    this.#wake?.();
  }

  async *read(signal: AbortSignal): AsyncGenerator<readonly StreamChunk[]> {
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    for (;;) {
      signal.throwIfAborted();
      const next = this.#batches.shift();
      if (next instanceof Error) throw next;
      if (next) yield next;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** Everything that the contract `ChatStreams` promises, for any implementation. */
export function chatStreamsContract(name: string, create: Create): void {
  const streamsOver = (agents: readonly ScriptedAgent[], limits: StreamLimits = {}) => {
    const registry = new Registry<ScriptedAgent>('agent');
    for (const agent of agents) registry.add(agent, 'test');
    const store = new MemoryStore(storeConfig.parse({}));
    const candidates = agents.map((agent) => agent.name);
    const events: string[] = [];
    const bus = new Bus((error) => {
      throw error;
    });
    const queen = new Queen(queenConfig.parse({ candidates }), registry, store, bus);
    for (const event of ['accepted', 'started', 'finished', 'failed', 'cancelled'])
      bus.on(`chat:${event}` as EventName, () => void events.push(event));
    return { streams: create(queen, limits, bus), events, bus, store };
  };

  describe(`${name} keeps the ChatStreams contract`, () => {
    conversationOrderContract(streamsOver);

    describe('a reply', () => {
      it.each([
        ['finished', [text('Hello '), text('there'), done], { tokens: 2 }],
        ['failed', [text('Hello '), new Error('no')], { code: 'AGENT_FAILED' }],
        ['cancelled', [text('Hello '), 'wait'], { reason: 'client' }],
      ] as const)('that has %s tells how long it waited, and took', async (ending, script, more) => {
        const { streams, bus } = streamsOver([new ScriptedAgent('a', script)]);
        const told: object[] = [];
        bus.on(`chat:${ending}`, (event) => void told.push(event));
        const reply = await streams.start(ask());
        for await (const entries of reply.read())
          if (ending === 'cancelled' && entries.some(({ type }) => type === 'streaming_token'))
            void reply.cancel('client');
        const [{ timings }] = told as [{ readonly timings: Timings }];
        expect(told).toEqual([expect.objectContaining({ streamId: reply.streamId, ...more })]);
        expect(timings.queuedMs).toBeLessThanOrEqual(timings.firstTokenMs as number);
        expect(timings.firstTokenMs).toBeLessThanOrEqual(timings.totalMs);
      });

      it('begins with streaming_start, ends with streaming_end, and names its stream in each frame', async () => {
        const { streams, events } = streamsOver([new ScriptedAgent('a')]);
        const reply = await streams.start(ask());
        const frames = await framesOf(reply);
        expect(frames).toEqual([
          {
            type: 'streaming_start',
            streamId: reply.streamId,
            agent: 'a',
            conversationId: reply.conversationId,
            requestId: `q${requests}`,
          },
          { type: 'streaming_token', streamId: reply.streamId, content: 'Hello ' },
          { type: 'streaming_token', streamId: reply.streamId, content: 'there' },
          {
            type: 'streaming_end',
            streamId: reply.streamId,
            reason: 'stop',
            agent: 'a',
            usage: { inputTokens: 1, outputTokens: 2 },
            timings: {
              queuedMs: expect.any(Number),
              firstTokenMs: expect.any(Number),
              totalMs: expect.any(Number),
            },
          },
        ]);
        expect(events).toEqual(['accepted', 'started', 'finished']);
      });

      it('has an id that cannot be guessed', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a')]);
        const replies = await Promise.all(Array.from({ length: 100 }, () => streams.start(ask())));
        const ids = replies.map(({ streamId }) => streamId);
        expect(new Set(ids).size).toBe(100);
        expect(Buffer.from(ids[0] as string, 'base64url').length * 8).toBeGreaterThanOrEqual(128);
      });

      it('counts positions in UTF-16 code units of all its content', async () => {
        const { streams } = streamsOver([
          new ScriptedAgent('a', [{ type: 'thinking', content: 'hm' }, text('🐝'), text('äb'), done]),
        ]);
        const entries = await read(await streams.start(ask()));
        expect(entries.map((entry) => entry.position)).toEqual([0, 2, 4, 6, 6]);
      });

      it('is remembered with all its text and none of its thinking', async () => {
        const agent = new ScriptedAgent('a');
        const thought = { type: 'thinking', content: 'hm' } as const;
        const words = Array(8).fill(text('x '));
        agent.generateResponseStream = async function* () {
          yield [thought, ...words];
          await untilWoken();
          yield words;
          await untilWoken();
          yield [...words, thought, text('!'), done];
        };
        const { streams, store } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await ended(reply);
        const { conversationId } = reply;
        expect(unstamped(await store.read({ userId: 'ann', conversationId })).at(-1)).toEqual({
          role: 'assistant',
          content: `${'x '.repeat(24)}!`,
        });
      });

      it('passes thinking and tool calls on as frames of their own', async () => {
        const { streams } = streamsOver([
          new ScriptedAgent('a', [
            { type: 'thinking', content: 'hm' },
            { type: 'tool_call', id: 't1', name: 'weather', arguments: '{"city":"Rome"}' },
            done,
          ]),
        ]);
        const frames = await framesOf(await streams.start(ask()));
        expect(types(frames)).toEqual([
          'streaming_start',
          'streaming_thinking',
          'streaming_tool_call',
          'streaming_end',
        ]);
        expect(frames[2]).toMatchObject({ id: 't1', name: 'weather', arguments: { city: 'Rome' } });
      });

      it('gives the pieces of a tool call to those who ask for them, and the whole to all', async () => {
        const piece = (args: string, from: number) =>
          ({ type: 'tool_call_piece', id: 't1', name: 'weather', arguments: args, from }) as const;
        const whole = { id: 't1', name: 'weather', arguments: '{"city":"Rome"}' };
        const agent = new ScriptedAgent('a', [
          text('Hm'),
          piece('{"city"', 0),
          'wait',
          [piece(':"Rome"}', 7), { type: 'tool_call', ...whole }, text('!')],
          done,
        ]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        const seen: (LogEntry | PieceEntry)[] = [];
        const usual = framesOf(reply);
        for await (const entries of reply.readPieces()) {
          seen.push(...entries);
          if (entries.some(({ type }) => type === 'tool_call_piece')) agent.release();
        }
        const types = seen.map((entry) => entry.type);
        expect(types).toEqual([
          'streaming_start',
          'streaming_token',
          'tool_call_piece',
          'tool_call_piece',
          'streaming_tool_call',
          'streaming_token',
          'streaming_end',
        ]);
        expect(seen.flatMap((entry) => ('toolCall' in entry ? [entry.toolCall] : []))).toMatchObject([whole]);
        const expected = types.filter((type) => type !== 'tool_call_piece');
        expect((await usual).map(({ type }) => type)).toEqual(expected);
        expect((await framesOf(reply)).map(({ type }) => type)).toEqual(expected);
        for (const position of [0, 1, 2, 3]) {
          const calls: unknown[] = [];
          for await (const entries of reply.read(position))
            for (const { type } of entries) if (type === 'streaming_tool_call') calls.push(type);
          expect(calls).toHaveLength(position < 3 ? 1 : 0);
        }
      });

      it('gives the same pieces to those who ask for them, early or late', async () => {
        const words = `${'a few words of any length, '.repeat(5)}`.match(/\S+\s*/g) as string[];
        const piece = (args: string, from: number) =>
          ({ type: 'tool_call_piece', id: 't', name: 'look', arguments: args, from }) as const;
        const agent = new ScriptedAgent('a', [
          ...words.flatMap((word) => [text(word), 'wait' as const]),
          [
            { type: 'thinking', content: 'x'.repeat(300) },
            { type: 'logprobs', logprobs: [] },
            text('y'),
            text('z'),
          ],
          'wait',
          piece('{', 0),
          [piece('}', 1), { type: 'tool_call', id: 't', name: 'look', arguments: '{}' }, text('!')],
          done,
        ]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        const readers: Promise<unknown>[] = [];
        const piecesRead = async () => {
          const seen: unknown[] = [];
          for await (const entries of reply.readPieces({ merge: false }))
            for (const entry of entries)
              seen.push('json' in entry ? [entry.json, entry.position] : { ...entry });
          return seen;
        };
        let batches = 0;
        for await (const _ of reply.read()) {
          if (batches++ % 9 === 0) readers.push(piecesRead());
          agent.release();
        }
        const [first, ...others] = await Promise.all([...readers, piecesRead()]);
        expect(first).toHaveLength(words.length + 10);
        for (const other of others) expect(other).toEqual(first);
      });

      it('gives every reader the same, early or late, and asks the agent once', async () => {
        const agent = new ScriptedAgent('a', [text('one '), 'wait', text('two'), done]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        const early = read(reply);
        await untilFrame(reply, 'streaming_token');
        const middle = read(reply);
        agent.release();
        const expected = await early;
        expect(await middle).toEqual(expected);
        expect(await read(reply)).toEqual(expected);
        expect(agent.requests).toHaveLength(1);
      });

      it('gives what arrived together together', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a', [[text('a'), text('b'), text('c')], done])]);
        const sizes: number[] = [];
        for await (const batch of (await streams.start(ask())).read())
          sizes.push(batch.filter((entry) => entry.frame.type === 'streaming_token').length);
        expect(Math.max(...sizes)).toBe(3);
      });

      it('lets a reader leave while it waits, and goes on', async () => {
        const agent = new ScriptedAgent('a', ['wait', text('x'), done]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        const reader = reply.read()[Symbol.asyncIterator]();
        await reader.next();
        const waiting = reader.next();
        await reader.return?.();
        expect(await waiting).toMatchObject({ done: true });
        agent.release();
        expect(types(await framesOf(reply)).at(-1)).toBe('streaming_end');
      });

      it('comes as one message when another agent took over before the first token', async () => {
        const { streams, events } = streamsOver([
          new ScriptedAgent('a', [new Error('boom')]),
          new ScriptedAgent('b', [{ type: 'thinking', content: 'hm' }, text('Hello '), text('there'), done]),
        ]);
        const reply = await streams.start(ask());
        const frames = await framesOf(reply);
        expect(types(frames)).toEqual(['streaming_start', 'message']);
        expect(frames[1]).toEqual({
          type: 'message',
          content: 'Hello there',
          agent: 'b',
          conversationId: reply.conversationId,
          streamId: reply.streamId,
          requestId: `q${requests}`,
          usage: { inputTokens: 1, outputTokens: 2 },
        });
        expect(events).toEqual(['accepted', 'started', 'finished']);
      });

      it('keeps the tool calls of an agent that took over', async () => {
        const call = { type: 'tool_call', id: 't1', name: 'weather', arguments: '{}' } as const;
        const { streams } = streamsOver([
          new ScriptedAgent('a', [new Error('boom')]),
          new ScriptedAgent('b', [call, done]),
        ]);
        const frames = await framesOf(await streams.start(ask()));
        expect(types(frames)).toEqual(['streaming_start', 'streaming_tool_call', 'message']);
      });

      it('ends with one error that names its stream when its agent fails after the first token', async () => {
        const { streams, events } = streamsOver([
          new ScriptedAgent('a', [text('Hel'), new Error('secret /etc/x')]),
        ]);
        const reply = await streams.start(ask());
        const frames = await framesOf(reply);
        expect(types(frames)).toEqual(['streaming_start', 'streaming_token', 'error']);
        expect(frames[2]).toMatchObject({
          code: 'AGENT_FAILED',
          streamId: reply.streamId,
          requestId: `q${requests}`,
        });
        expect(JSON.stringify(frames)).not.toContain('secret');
        expect(reply.failure?.code).toBe('AGENT_FAILED');
        expect(events).toEqual(['accepted', 'started', 'failed']);
      });

      it('ends with an error without a stream when it never began', async () => {
        const { streams, events } = streamsOver([new ScriptedAgent('a')]);
        const [frame, ...rest] = await framesOf(await streams.start({ ...ask(), agent: 'nobody' }));
        expect(frame).toMatchObject({ type: 'error', code: 'AGENT_UNKNOWN', requestId: `q${requests}` });
        expect(frame).not.toHaveProperty('streamId');
        expect(rest).toEqual([]);
        expect(events).toEqual(['accepted', 'failed']);
      });

      it.each<[string, readonly Step[]]>([
        ['at once', ['wait', done]],
        ['in the middle', [text('Hel'), 'wait', done]],
      ])('is cancelled %s: one cancelled frame, after its agent has stopped', async (_, script) => {
        const agent = new ScriptedAgent('a', script);
        const { streams, events } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await untilFrame(reply, script[0] === 'wait' ? 'streaming_start' : 'streaming_token');
        await Promise.all([reply.cancel('client'), reply.cancel('client')]);
        expect(agent.running).toBe(0);
        const frames = await framesOf(reply);
        expect(frames.at(-1)).toMatchObject({
          type: 'cancelled',
          reason: 'client',
          upstreamClosedMs: expect.any(Number),
        });
        expect(frames.filter((frame) => frame.type === 'cancelled')).toHaveLength(1);
        expect(events).toEqual(['accepted', 'started', 'cancelled']);
      });

      it('is not changed by a cancel after its end', async () => {
        const { streams, events } = streamsOver([new ScriptedAgent('a')]);
        const reply = await streams.start(ask());
        const frames = await framesOf(reply);
        await reply.cancel('client');
        expect(await framesOf(reply)).toEqual(frames);
        expect(events).toEqual(['accepted', 'started', 'finished']);
      });

      it('ends in time also when its agent ignores the cancel, and drops what it still says', async () => {
        const agent = new ScriptedAgent('a', [text('Hel'), 'wait', text('lo'), done]);
        const original = agent.generateResponseStream.bind(agent);
        agent.generateResponseStream = (request) => original(request, call());
        const { streams, events } = streamsOver([agent], { cancelTimeoutMs: 20 });
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        await reply.cancel('client');
        agent.release();
        const frames = await framesOf(reply);
        expect(words(frames)).toBe('Hel');
        expect(frames.at(-1)).toMatchObject({ type: 'cancelled' });
        expect(events).toEqual(['accepted', 'started', 'cancelled']);
      });

      it('says nothing more after a cancel, whatever its agent still has to say', async () => {
        const agent = new ScriptedAgent('a');
        agent.generateResponseStream = async function* (_request, { signal }) {
          yield text('Hel');
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          yield [text('lo'), done];
        };
        const { streams, events } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        await reply.cancel('client');
        const frames = await framesOf(reply);
        expect(words(frames)).toBe('Hel');
        expect(frames.at(-1)?.type).toBe('cancelled');
        expect(events).toEqual(['accepted', 'started', 'cancelled']);
      });

      it('takes nothing more from an agent that goes on after a cancel', async () => {
        const agent = new ScriptedAgent('a');
        let goneOn = 0;
        agent.generateResponseStream = async function* (_request, { signal }) {
          while (goneOn < 100) {
            yield text('x');
            if (signal.aborted) goneOn++;
            await new Promise(setImmediate);
          }
        };
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        await reply.cancel('client');
        expect(goneOn).toBeLessThanOrEqual(1);
      });

      it('is cut off with an error when it grows too long', async () => {
        const { streams } = streamsOver(
          [new ScriptedAgent('a', [text('12345'), text('67890'), text('x'), 'wait'])],
          {
            replyLimitChars: 9,
          },
        );
        const frames = await framesOf(await streams.start(ask()));
        expect(types(frames)).toEqual(['streaming_start', 'streaming_token', 'streaming_token', 'error']);
        expect(frames.at(-1)).toMatchObject({
          code: 'AGENT_FAILED',
          message: expect.stringContaining('9 characters'),
        });
      });

      it('is cut off with an error when it takes too long, and its agent stops', async () => {
        const agent = new ScriptedAgent('a', [text('x'), 'wait']);
        const { streams } = streamsOver([agent], { replyTimeoutMs: 20 });
        const frames = await framesOf(await streams.start(ask()));
        expect(frames.at(-1)).toMatchObject({ type: 'error', code: 'AGENT_TIMEOUT' });
        await streams.close();
        expect(agent.running).toBe(0);
      });

      it('can be had as a whole', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a')]);
        expect(await (await streams.start(ask())).whole()).toEqual({
          content: 'Hello there',
          agent: 'a',
          usage: { inputTokens: 1, outputTokens: 2 },
        });
        const failing = streamsOver([new ScriptedAgent('a', [text('x'), new Error('boom')])]).streams;
        await expect((await failing.start(ask())).whole()).rejects.toMatchObject({ code: 'AGENT_FAILED' });
        const falling = streamsOver([
          new ScriptedAgent('a', [new Error('boom')]),
          new ScriptedAgent('b'),
        ]).streams;
        expect(await (await falling.start(ask())).whole()).toMatchObject({
          content: 'Hello there',
          agent: 'b',
        });
      });

      it.each([
        ['client', 'AGENT_DISCONNECTED'],
        ['shutdown', 'SHUTTING_DOWN'],
      ] as const)('cannot be had as a whole after a cancel: %s', async (reason, code) => {
        const { streams } = streamsOver([new ScriptedAgent('a', ['wait'])]);
        const reply = await streams.start(ask());
        const whole = reply.whole();
        await untilFrame(reply, 'streaming_start');
        await Promise.all([reply.cancel(reason), expect(whole).rejects.toMatchObject({ code })]);
      });
    });

    describe('replies', () => {
      it('refuses more replies than it may run, and takes the next one when one has ended', async () => {
        const agent = new ScriptedAgent('a', ['wait', text('.'), done]);
        const { streams } = streamsOver([agent], { maxRunning: 1, maxWaiting: 0 });
        const first = await streams.start(ask());
        await expect(streams.start(ask())).rejects.toThrow(
          expect.objectContaining({ code: 'QUEUE_FULL', retryAfterMs: expect.any(Number) }),
        );
        await untilFrame(first, 'streaming_start');
        agent.release();
        await read(first);
        const next = await streams.start(ask());
        await next.cancel('client');
      });

      it('lets running replies end while it drains, and refuses new ones', async () => {
        const agent = new ScriptedAgent('a', [text('x'), 'wait', done]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        const drained = streams.drain(new AbortController().signal);
        await expect(streams.start(ask())).rejects.toThrow(
          expect.objectContaining({ code: 'SHUTTING_DOWN' }),
        );
        agent.release();
        await drained;
        expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'streaming_end' });
      });

      it('cancels what still runs at the deadline', async () => {
        const agent = new ScriptedAgent('a', [text('x'), 'wait', done]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        await streams.drain(AbortSignal.abort());
        expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'cancelled', reason: 'shutdown' });
        expect(agent.running).toBe(0);
      });
    });

    describe('resuming', () => {
      const script: readonly Step[] = [
        { type: 'thinking', content: 'hm 🤔' },
        text('one '),
        { type: 'tool_call', id: 't1', name: 'weather', arguments: '{}' },
        text('two 🐝'),
        done,
      ];
      const contentOf = (frames: readonly StreamFrame[]) =>
        frames
          .map((frame) =>
            frame.type === 'streaming_token' || frame.type === 'streaming_thinking' ? frame.content : '',
          )
          .join('');
      const whole = 'hm 🤔one two 🐝';
      const readFrom = async (reply: Reply, position: number) => {
        const entries: LogEntry[] = [];
        for await (const batch of reply.read(position)) entries.push(...batch);
        return entries;
      };

      it('gives streaming_start with resumed, and then exactly what lies after any position', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a', script)]);
        const reply = await streams.start(ask());
        await read(reply);
        for (let position = 0; position <= whole.length; position++) {
          const entries = await readFrom(reply, position);
          const frames = entries.map((entry) => entry.frame);
          expect(frames[0]).toMatchObject({
            type: 'streaming_start',
            resumed: true,
            streamId: reply.streamId,
          });
          expect(entries[0]?.position).toBe(position);
          expect(contentOf(frames)).toBe(whole.slice(position));
          expect(frames.filter((frame) => frame.type === 'streaming_end')).toHaveLength(1);
          expect(frames.at(-1)?.type).toBe('streaming_end');
          expect(entries.at(-1)?.position).toBe(whole.length);
        }
      });

      it('gives a tool call again rather than never', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a', script)]);
        const reply = await streams.start(ask());
        await read(reply);
        const at = whole.indexOf('two');
        for (const [position, times] of [
          [0, 1],
          [at, 1],
          [at + 1, 0],
        ] as const) {
          const entries = await readFrom(reply, position);
          expect(entries.filter(({ frame }) => frame.type === 'streaming_tool_call')).toHaveLength(times);
        }
      });

      it('refuses a position beyond what was sent', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a', script)]);
        const reply = await streams.start(ask());
        await read(reply);
        expect(() => reply.read(whole.length + 1)).toThrow(
          expect.objectContaining({ code: 'INVALID_REQUEST' }),
        );
      });

      it('goes on while the reply still runs, and twice', async () => {
        const agent = new ScriptedAgent('a', [text('one '), 'wait', text('two'), done]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        const readers = [readFrom(reply, 2), readFrom(reply, 4)];
        agent.release();
        const [late, later] = await Promise.all(readers);
        expect(words((late ?? []).map((entry) => entry.frame))).toBe('e two');
        expect(words((later ?? []).map((entry) => entry.frame))).toBe('two');
      });

      it('waits for a reply that has not started', async () => {
        const agent = new ScriptedAgent('a');
        let healthy = () => {};
        agent.health = () =>
          new Promise((resolve) => {
            healthy = () => resolve({ healthy: true });
          });
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        const resumed = readFrom(reply, 0);
        await new Promise(setImmediate);
        healthy();
        const frames = (await resumed).map((entry) => entry.frame);
        expect(types(frames)).toEqual(['streaming_start', 'streaming_token', 'streaming_end']);
        expect(words(frames)).toBe('Hello there');
      });

      it('gives the error of a reply that never started', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a')]);
        const reply = await streams.start({ ...ask(), agent: 'nobody' });
        await read(reply);
        expect((await readFrom(reply, 0)).map((entry) => entry.frame)).toEqual([
          expect.objectContaining({ type: 'error', code: 'AGENT_UNKNOWN' }),
        ]);
      });

      it('gives a message that took the place of a stream', async () => {
        const { streams } = streamsOver([
          new ScriptedAgent('a', [new Error('boom')]),
          new ScriptedAgent('b'),
        ]);
        const reply = await streams.start(ask());
        await read(reply);
        const frames = (await readFrom(reply, 0)).map((entry) => entry.frame);
        expect(types(frames)).toEqual(['streaming_start', 'message']);
        expect(frames[1]).toMatchObject({ content: 'Hello there' });
        expect(types((await readFrom(reply, 11)).map((entry) => entry.frame))).toEqual([
          'streaming_start',
          'message',
        ]);
      });
    });

    describe('a reader that was held up', () => {
      it('gets its backlog in few frames, and the same text', async () => {
        const tokens = Array.from({ length: 500 }, (_, index) => text(`${index} 🐝 `));
        const agent = new ScriptedAgent('a', [
          'wait',
          tokens,
          { type: 'thinking', content: 'x' },
          tokens,
          done,
        ]);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start(ask());
        const [slow, fast] = [reply.read(), read(reply)];
        await slow.next();
        agent.release();
        const all = (await fast).map((entry) => entry.frame);
        slow.merge();
        const frames: StreamFrame[] = [];
        for await (const batch of slow) frames.push(...batch.map((entry) => entry.frame));
        expect(words(frames)).toBe(words(all));
        expect(frames.length).toBeLessThan(10);
        expect(all.length).toBeGreaterThan(1000);
        expect(frames.at(-1)?.type).toBe('streaming_end');
      });
    });

    describe('a listener that throws', () => {
      const bad = {
        readable: () => {
          throw new Error('no');
        },
      };
      const rows: readonly (readonly [string, (reply: Reply, other: Reply) => readonly ReplyReader[]])[] = [
        ['alone', (reply) => [reply.read()]],
        ['twice', (reply) => [reply.read(), reply.read()]],
        ['at two replies', (reply, other) => [reply.read(), other.read()]],
      ];
      it.each(rows)('%s harms no other reader of its reply, and no other reply', async (_, readersOf) => {
        const agent = new ScriptedAgent('a', ['wait', text('one '), 'wait', text('two'), done]);
        const { streams } = streamsOver([agent]);
        const replies = [await streams.start(ask()), await streams.start(ask())] as const;
        const early = replies.map(framesOf);
        for (const reader of readersOf(...replies)) reader.onReadable(bad);
        const late = replies.map((reply) => listening(reply.read()));
        while (agent.running < 2) await untilWoken();
        agent.release();
        await Promise.all(replies.map((reply) => untilFrame(reply, 'streaming_token')));
        agent.release();
        for (const frames of await Promise.all(early)) expect(words(frames)).toBe('one two');
        for (const batches of late) {
          const entries: LogEntry[] = [];
          for await (const batch of batches) entries.push(...batch);
          expect(words(entries.map(({ frame }) => frame))).toBe('one two');
        }
        expect(streams.stats).toMatchObject({ running: 0, readers: 0 });
      });
    });

    describe('the same requestId', () => {
      it('gives the same reply, also at the same time and after its end, and the agent runs once', async () => {
        const agent = new ScriptedAgent('a');
        const { streams } = streamsOver([agent]);
        const command = ask();
        const replies = [
          await streams.start(command),
          await streams.start(command),
          await streams.start(command),
        ];
        const [first, ...others] = await Promise.all(replies.map(read));
        for (const other of others) expect(other).toEqual(first);
        expect(await streams.start(command)).toBe(replies[0]);
        expect(agent.requests).toHaveLength(1);
      });

      it.each<[string, Partial<StartCommand>, Partial<StartCommand>]>([
        ['positions of its fields', { options: { seed: 1, topP: 2 } }, { options: { topP: 2, seed: 1 } }],
        ['fields without a value', { model: undefined }, { options: undefined }],
        ['another priority', { priority: 'low' }, { priority: 'high' }],
        ['another way to leave', { onDisconnect: 'continue' }, { onDisconnect: 'cancel' }],
        [
          'another trace',
          { traceparent: '00-1', baggage: 'a=1' },
          { traceparent: '00-2', tracestate: 'a=1' },
        ],
        ['other notes', { metadata: { a: 1 } }, { metadata: { a: 2 } }],
      ])('with %s is the same request', async (_, first, second) => {
        const { streams } = streamsOver([new ScriptedAgent('a')]);
        const command = ask();
        const reply = await streams.start({ ...command, ...first });
        expect(await streams.start({ ...command, ...second })).toBe(reply);
        await read(reply);
      });

      it.each<[string, Partial<StartCommand>]>([
        ['other content', { content: 'hello' }],
        ['messages', { messages: [{ role: 'user', content: 'Hi' }] }],
        ['another model', { model: 'm' }],
        ['another agent', { agent: 'a' }],
        ['other options', { options: { temperature: 1 } }],
        ['tools', { options: { tools: [{ name: 't' }] } as never }],
        ['another conversation', { conversationId: 'c' }],
        ['no memory', { stateless: true }],
        ['another endpoint', { endpoint: 'POST /elsewhere' }],
      ])('with %s is refused, while it runs and after its end; the old answer stays', async (_, more) => {
        const agent = new ScriptedAgent('a', [text('PIN 1234'), 'wait', done]);
        const { streams } = streamsOver([agent]);
        const command = ask();
        const reply = await streams.start(command);
        const refused = async () =>
          await expect(streams.start({ ...command, ...more })).rejects.toThrow(
            expect.objectContaining({ code: 'IDEMPOTENCY_MISMATCH' }),
          );
        await refused();
        await untilFrame(reply, 'streaming_token');
        await refused();
        agent.release();
        await read(reply);
        await refused();
        expect(await streams.start(command)).toBe(reply);
        expect(streams.stats).toMatchObject({ running: 0, kept: 1 });
      });

      it.each<[string, readonly Step[], StreamLimits, CancelReason | undefined, boolean]>([
        ['failed', [new Error('no')], {}, undefined, true],
        ['failed after its first token', [text('a'), new Error('no')], {}, undefined, true],
        ['was too long', [text('abc'), 'wait'], { replyLimitChars: 2 }, undefined, true],
        ['took too long', ['wait'], { replyTimeoutMs: 5 }, undefined, true],
        ['was abandoned', ['wait'], { disconnectGraceMs: 5 }, undefined, true],
        ['was left', ['wait'], {}, 'disconnected', true],
        ['was cancelled by its client', ['wait'], {}, 'client', false],
        ['ended well', [text('a'), done], {}, undefined, false],
      ])('of a reply that %s', async (_, script, limits, cancel, startsAnew) => {
        const { streams } = streamsOver([new ScriptedAgent('a', script)], limits);
        const command = { ...ask(), conversationId: 'c' };
        const reply = await streams.start(command);
        if (cancel) void reply.cancel(cancel);
        await ended(reply);
        const again = await streams.start(command);
        expect(again !== reply).toBe(startsAnew);
        expect(await streams.find(reply.streamId)).toBe(reply);
        // What is forgotten later must not take the key of its successor along.
        expect(await streams.start(command)).toBe(again);
        await streams.close();
      });

      it('stays with the newer reply when the older one is forgotten', async () => {
        const agent = new ScriptedAgent('a', [new Error('no')]);
        const { streams } = streamsOver([agent], { maxKept: 1 });
        const command = ask();
        await ended(await streams.start(command));
        agent.script = ['wait', done];
        const again = await streams.start(command);
        await read(await streams.start({ userId: 'bob', content: 'x', agent: 'nobody' }));
        expect(await streams.start(command)).toBe(again);
        await streams.close();
      });

      it('of another user is another request; without one each is', async () => {
        const agent = new ScriptedAgent('a');
        const { streams } = streamsOver([agent]);
        const command = ask();
        const replies = [
          await streams.start(command),
          await streams.start({ ...command, userId: 'bob' }),
          await streams.start({ userId: 'ann', content: 'x' }),
          await streams.start({ userId: 'ann', content: 'x' }),
        ];
        expect(new Set(replies).size).toBe(4);
        await Promise.all(replies.map(read));
        expect(agent.requests).toHaveLength(4);
      });
    });

    describe('when nobody reads any more', () => {
      it('a reply goes on for the grace period, and whoever comes back loses nothing', async () => {
        const agent = new ScriptedAgent('a', [text('one '), 'wait', text('two'), done]);
        const { streams, events } = streamsOver([agent], { disconnectGraceMs: 60_000 });
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        expect(streams.stats.readers).toBe(0);
        agent.release();
        expect(words(await framesOf(reply))).toBe('one two');
        expect(events).toEqual(['accepted', 'started', 'finished']);
      });

      it('it is cancelled when the grace period is over', async () => {
        const agent = new ScriptedAgent('a', [text('one '), 'wait']);
        const { streams, events } = streamsOver([agent], { disconnectGraceMs: 20 });
        const reply = await streams.start(ask());
        await untilFrame(reply, 'streaming_token');
        await ended(reply);
        expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'cancelled', reason: 'abandoned' });
        expect(agent.running).toBe(0);
        expect(events).toEqual(['accepted', 'started', 'cancelled']);
      });

      it('it is cancelled too when nobody ever came', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a', ['wait'])], { disconnectGraceMs: 20 });
        const reply = await streams.start(ask());
        await ended(reply);
        expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'cancelled', reason: 'abandoned' });
      });

      it('it goes on as long as one reader is left', async () => {
        const agent = new ScriptedAgent('a', [text('one '), 'wait', text('two'), done]);
        const { streams } = streamsOver([agent], { disconnectGraceMs: 1 });
        const reply = await streams.start({ ...ask(), onDisconnect: 'cancel' });
        const [one, two] = [reply.read(), framesOf(reply)];
        await one.next();
        await one.return();
        await new Promise((resolve) => setTimeout(resolve, 20));
        agent.release();
        expect(words(await two)).toBe('one two');
      });

      it('it is cancelled at once where the request says so', async () => {
        const agent = new ScriptedAgent('a', [text('one '), 'wait']);
        const { streams } = streamsOver([agent], { disconnectGraceMs: 60_000 });
        const reply = await streams.start({ ...ask(), onDisconnect: 'cancel' });
        await untilFrame(reply, 'streaming_token');
        await ended(reply);
        expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'cancelled', reason: 'disconnected' });
      });

      it('a whole answer that nobody waits for any more is given up', async () => {
        const agent = new ScriptedAgent('a', ['wait']);
        const { streams } = streamsOver([agent]);
        const reply = await streams.start({ ...ask(), onDisconnect: 'cancel' });
        const abort = new AbortController();
        const answer = reply.whole(abort.signal);
        abort.abort();
        await expect(answer).rejects.toMatchObject({ code: 'AGENT_DISCONNECTED' });
        await ended(reply);
        expect(agent.running).toBe(0);
      });
    });

    describe('waiting for a turn', () => {
      it('is in order, tells how many are before, and is part of the timings', async () => {
        const agent = new ScriptedAgent('a', ['wait', text('.'), done]);
        const { streams } = streamsOver([agent], { maxRunning: 1 });
        const replies = await Promise.all(Array.from({ length: 4 }, () => streams.start(ask())));
        expect(streams.stats).toMatchObject({ running: 1, waiting: 3 });
        const reads = replies.map(framesOf);
        for (const [index, reply] of replies.entries()) {
          await untilFrame(reply, 'streaming_start');
          for (const [ahead, later] of replies.slice(index + 1).entries()) await untilAhead(later, ahead);
          agent.release();
          await ended(reply);
        }
        const all = await Promise.all(reads);
        const aheads = all.map((frames) =>
          frames.flatMap((frame) => (frame.type === 'queue_update' ? [frame.ahead] : [])),
        );
        expect(aheads).toEqual([[], [0], [1, 0], [2, 1, 0]]);
        for (const frames of all)
          expect(types(frames).slice(-3)).toEqual(['streaming_start', 'streaming_token', 'streaming_end']);
        const end = all[3]?.at(-1);
        expect(end?.type === 'streaming_end' && end.timings.queuedMs).toBeGreaterThan(0);
      });

      it('can be cancelled, and the line closes up', async () => {
        const agent = new ScriptedAgent('a', ['wait', text('.'), done]);
        const { streams } = streamsOver([agent], { maxRunning: 1 });
        const [first, second, third] = [
          await streams.start(ask()),
          await streams.start(ask()),
          await streams.start(ask()),
        ];
        expect(await second.cancel('client')).toEqual({
          upstreamClosedMs: expect.any(Number),
          stopped: expect.anything(),
        });
        // Where a start takes a while, the first one was asked in it.
        expect(agent.requests.length).toBeLessThan(2);
        await untilFrame(first, 'streaming_start');
        agent.release();
        await untilFrame(third, 'streaming_start');
        await third.cancel('client');
        expect(streams.stats).toMatchObject({ running: 0, waiting: 0 });
      });
    });

    describe('a log that has ended', () => {
      it('is kept for a while and then gone, with all that it took', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a')], { keepMs: 30 });
        const command = ask();
        const reply = await streams.start(command);
        await read(reply);
        expect(await streams.find(reply.streamId)).toBe(reply);
        while (await streams.find(reply.streamId)) await new Promise((resolve) => setTimeout(resolve, 5));
        expect(streams.stats).toEqual({ running: 0, waiting: 0, kept: 0, readers: 0, chars: 0, tokens: 2 });
        expect(streams.list()).toEqual([]);
        expect(await streams.start(command)).not.toBe(reply);
      });

      it('makes room for newer ones, the oldest first', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a')], { maxKept: 2 });
        const replies: Reply[] = [];
        for (let index = 0; index < 4; index++) {
          const reply = await streams.start(ask());
          await read(reply);
          replies.push(reply);
        }
        const found = await Promise.all(replies.map(({ streamId }) => streams.find(streamId)));
        expect(found.map((reply, at) => reply === replies[at])).toEqual([false, false, true, true]);
        expect(streams.list()).toEqual(replies.slice(2));
      });

      it('makes room when the characters of all logs are too many', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a', [text('x'.repeat(60)), done])], {
          totalLimitChars: 100,
        });
        const first = await streams.start(ask());
        await read(first);
        const second = await streams.start(ask());
        expect((await framesOf(second)).at(-1)?.type).toBe('streaming_end');
        expect(await streams.find(first.streamId)).toBeUndefined();
        expect(streams.stats.chars).toBe(60);
      });

      it('is not cut short for a reader that is still at it', async () => {
        const { streams } = streamsOver([new ScriptedAgent('a')], { maxKept: 0 });
        const reply = await streams.start(ask());
        const reader = reply.read();
        await ended(reply);
        expect(await streams.find(reply.streamId)).toBeUndefined();
        const frames: StreamFrame[] = [];
        for await (const batch of reader) frames.push(...batch.map((entry) => entry.frame));
        expect(words(frames)).toBe('Hello there');
      });
    });

    it('a reply for which there is no room is cut off with an error, and the others go on', async () => {
      const big = new ScriptedAgent('big', [text('x'.repeat(80)), text('x'.repeat(80)), 'wait']);
      const { streams } = streamsOver([big, new ScriptedAgent('small')], { totalLimitChars: 100 });
      const reply = await streams.start({ ...ask(), agent: 'big' });
      expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'error', code: 'AGENT_FAILED' });
      const next = await streams.start({ ...ask(), agent: 'small' });
      expect((await framesOf(next)).at(-1)?.type).toBe('streaming_end');
    });

    it('a thousand readers of one reply get the same, and the agent runs once', async () => {
      const agent = new ScriptedAgent('a', [
        'wait',
        ...Array.from({ length: 50 }, (_, index) => text(`${index} `)),
        done,
      ]);
      const { streams } = streamsOver([agent]);
      const reply = await streams.start(ask());
      const readers = Array.from({ length: 1000 }, () => framesOf(reply));
      await untilFrame(reply, 'streaming_start');
      agent.release();
      const [first, ...others] = await Promise.all(readers);
      for (const other of others) expect(words(other)).toBe(words(first ?? []));
      expect(agent.requests).toHaveLength(1);
      expect(streams.stats.readers).toBe(0);
    });

    it('whatever happens in whatever order, each reader gets exactly the content after its position, and one end', async () => {
      const way = fc.constantFrom('pull', 'listen', 'listen', 'listen');
      const step = fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            say: fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }), {
              minLength: 1,
              maxLength: 6,
            }),
            as: fc.constantFrom('text', 'text', 'thinking'),
          }),
        },
        {
          weight: 2,
          arbitrary: fc.record({ read: fc.option(fc.nat({ max: 60 }), { nil: undefined }), how: way }),
        },
        { weight: 1, arbitrary: fc.record({ merge: fc.nat() }) },
        { weight: 1, arbitrary: fc.record({ leave: fc.nat() }) },
        { weight: 2, arbitrary: fc.constant('turn' as const) },
      );
      const ending = fc.constantFrom('done', 'throw', 'cancel', 'shutdown');
      await fc.assert(
        fc.asyncProperty(way, fc.array(step, { maxLength: 30 }), ending, async (firstWay, steps, how) => {
          const said = new Mailbox();
          const agent = new ScriptedAgent('a');
          agent.generateResponseStream = async function* (_request, { signal }) {
            for await (const batch of said.read(signal)) yield batch;
          };
          const { streams, events } = streamsOver([agent]);
          const reply = await streams.start(ask());
          await untilFrame(reply, 'streaming_start');
          let sent = '';
          /** The type of each code unit that was sent. */
          let sentTypes = '';
          const readings: {
            readonly reader: ReturnType<Reply['read']>;
            readonly from: number;
            left: boolean;
            readonly got: Promise<{ joined: string; types: string; ends: number }>;
          }[] = [];
          const attach = (how: 'pull' | 'listen', position?: number) => {
            const reader = reply.read(position);
            const got = (async () => {
              const total = { joined: '', types: '', ends: 0 };
              for await (const batch of how === 'pull' ? reader : listening(reader))
                for (const { frame } of batch) {
                  if (frame.type === 'streaming_token' || frame.type === 'streaming_thinking') {
                    total.joined += frame.content;
                    total.types += unitTypes(
                      frame.type === 'streaming_token' ? 'text' : 'thinking',
                      frame.content,
                    );
                  } else if (frame.type !== 'streaming_start') total.ends++;
                }
              return total;
            })();
            readings.push({ reader, from: position ?? 0, left: false, got });
          };
          attach(firstWay);
          for (const each of steps) {
            if (each === 'turn') await untilWoken();
            else if ('say' in each) {
              said.put(each.say.map((content) => ({ type: each.as, content })));
              sent += each.say.join('');
              sentTypes += unitTypes(each.as, each.say.join(''));
            } else if ('read' in each) {
              await untilWoken();
              attach(each.how, each.read === undefined ? undefined : Math.min(each.read, sent.length));
            } else if ('merge' in each) readings[each.merge % readings.length]?.reader.merge();
            else {
              const reading = readings[each.leave % readings.length];
              if (reading) {
                reading.left = true;
                await reading.reader.return();
              }
            }
          }
          await untilWoken();
          if (how === 'done') said.put([done]);
          else if (how === 'throw') said.fail(new Error('boom'));
          else await reply.cancel(how === 'cancel' ? 'client' : 'shutdown');
          attach('pull', Math.floor(sent.length / 2));
          await ended(reply);
          attach('listen', sent.length);
          for (const { from, left, got } of readings) {
            const { joined, types, ends } = await got;
            if (left) expect(sent.slice(from).startsWith(joined)).toBe(true);
            else {
              expect([joined, types]).toEqual([sent.slice(from), sentTypes.slice(from)]);
              expect(ends).toBe(1);
            }
          }
          expect(events).toHaveLength(3);
          expect(streams.stats).toMatchObject({ running: 0, waiting: 0, readers: 0 });
          await streams.close();
          expect(streams.stats).toMatchObject({ kept: 0, chars: 0 });
        }),
        { numRuns: times(200) },
      );
    });
  });
}
