import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Bus, type EventName, type LogEntry, Registry, type Reply, type StreamFrame } from '#kernel';
import { config as queenConfig } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { type Config, config } from '../../../plugins/streams-memory/config.js';
import { MemoryStreams } from '../../../plugins/streams-memory/memory-streams.js';
import { ReplyLog } from '../../../plugins/streams-memory/reply-log.js';
import { done, ScriptedAgent, type Step, text } from '../../support/agents.js';

function streamsOver(agents: readonly ScriptedAgent[], options: Partial<Config> = {}) {
  const registry = new Registry<ScriptedAgent>('agent');
  for (const agent of agents) registry.add(agent, 'test');
  const store = new MemoryStore(storeConfig.parse({}));
  const candidates = agents.map((agent) => agent.name);
  const queen = new Queen(queenConfig.parse({ candidates }), registry, store);
  const events: string[] = [];
  const bus = new Bus((error) => {
    throw error;
  });
  for (const name of ['started', 'finished', 'failed', 'cancelled'])
    bus.on(`chat:${name}` as EventName, () => void events.push(name));
  const streams = new MemoryStreams(queen, config.parse(options), bus, pino({ level: 'silent' }));
  return { streams, events };
}

const command = { userId: 'ann', content: 'Hi', requestId: 'q1' };

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

describe('a reply', () => {
  it('begins with streaming_start, ends with streaming_end, and names its stream in each frame', async () => {
    const { streams, events } = streamsOver([new ScriptedAgent('a')]);
    const reply = streams.start(command);
    const frames = await framesOf(reply);
    expect(frames).toEqual([
      {
        type: 'streaming_start',
        streamId: reply.streamId,
        agent: 'a',
        conversationId: reply.conversationId,
        requestId: 'q1',
      },
      { type: 'streaming_token', streamId: reply.streamId, content: 'Hello ' },
      { type: 'streaming_token', streamId: reply.streamId, content: 'there' },
      {
        type: 'streaming_end',
        streamId: reply.streamId,
        reason: 'stop',
        agent: 'a',
        usage: { inputTokens: 1, outputTokens: 2 },
        timings: { queuedMs: 0, firstTokenMs: expect.any(Number), totalMs: expect.any(Number) },
      },
    ]);
    expect(events).toEqual(['started', 'finished']);
  });

  it('has an id that cannot be guessed', () => {
    const { streams } = streamsOver([new ScriptedAgent('a')]);
    const ids = Array.from({ length: 100 }, () => streams.start(command).streamId);
    expect(new Set(ids).size).toBe(100);
    expect(Buffer.from(ids[0] as string, 'base64url').length * 8).toBeGreaterThanOrEqual(128);
  });

  it('counts positions in UTF-16 code units of its text', async () => {
    const { streams } = streamsOver([
      new ScriptedAgent('a', [{ type: 'thinking', content: 'hm' }, text('🐝'), text('äb'), done]),
    ]);
    const entries = await read(streams.start(command));
    expect(entries.map((entry) => entry.position)).toEqual([0, 0, 2, 4, 4]);
  });

  it('passes thinking and tool calls on as frames of their own', async () => {
    const { streams } = streamsOver([
      new ScriptedAgent('a', [
        { type: 'thinking', content: 'hm' },
        { type: 'tool_call', id: 't1', name: 'weather', arguments: { city: 'Rome' } },
        done,
      ]),
    ]);
    const frames = await framesOf(streams.start(command));
    expect(types(frames)).toEqual([
      'streaming_start',
      'streaming_thinking',
      'streaming_tool_call',
      'streaming_end',
    ]);
    expect(frames[2]).toMatchObject({ id: 't1', name: 'weather', arguments: { city: 'Rome' } });
  });

  it('gives every reader the same, early or late, and asks the agent once', async () => {
    const agent = new ScriptedAgent('a', [text('one '), 'wait', text('two'), done]);
    const { streams } = streamsOver([agent]);
    const reply = streams.start(command);
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
    for await (const batch of streams.start(command).read())
      sizes.push(batch.filter((entry) => entry.frame.type === 'streaming_token').length);
    expect(Math.max(...sizes)).toBe(3);
  });

  it('lets a reader leave while it waits, and goes on', async () => {
    const agent = new ScriptedAgent('a', ['wait', text('x'), done]);
    const { streams } = streamsOver([agent]);
    const reply = streams.start(command);
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
    const reply = streams.start(command);
    const frames = await framesOf(reply);
    expect(types(frames)).toEqual(['streaming_start', 'message']);
    expect(frames[1]).toEqual({
      type: 'message',
      content: 'Hello there',
      agent: 'b',
      conversationId: reply.conversationId,
      streamId: reply.streamId,
      requestId: 'q1',
      usage: { inputTokens: 1, outputTokens: 2 },
    });
    expect(events).toEqual(['started', 'finished']);
  });

  it('ends with one error that names its stream when its agent fails after the first token', async () => {
    const { streams, events } = streamsOver([
      new ScriptedAgent('a', [text('Hel'), new Error('secret /etc/x')]),
    ]);
    const reply = streams.start(command);
    const frames = await framesOf(reply);
    expect(types(frames)).toEqual(['streaming_start', 'streaming_token', 'error']);
    expect(frames[2]).toMatchObject({ code: 'AGENT_FAILED', streamId: reply.streamId, requestId: 'q1' });
    expect(JSON.stringify(frames)).not.toContain('secret');
    expect(reply.failure?.code).toBe('AGENT_FAILED');
    expect(events).toEqual(['started', 'failed']);
  });

  it('ends with an error without a stream when it never began', async () => {
    const { streams, events } = streamsOver([new ScriptedAgent('a')]);
    const [frame, ...rest] = await framesOf(streams.start({ ...command, agent: 'nobody' }));
    expect(frame).toMatchObject({ type: 'error', code: 'AGENT_UNKNOWN', requestId: 'q1' });
    expect(frame).not.toHaveProperty('streamId');
    expect(rest).toEqual([]);
    expect(events).toEqual(['failed']);
  });

  it.each<[string, readonly Step[]]>([
    ['at once', ['wait', done]],
    ['in the middle', [text('Hel'), 'wait', done]],
  ])('is cancelled %s: one cancelled frame, after its agent has stopped', async (_, script) => {
    const agent = new ScriptedAgent('a', script);
    const { streams, events } = streamsOver([agent]);
    const reply = streams.start(command);
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
    expect(events).toEqual(['started', 'cancelled']);
  });

  it('is not changed by a cancel after its end', async () => {
    const { streams, events } = streamsOver([new ScriptedAgent('a')]);
    const reply = streams.start(command);
    const frames = await framesOf(reply);
    await reply.cancel('client');
    expect(await framesOf(reply)).toEqual(frames);
    expect(events).toEqual(['started', 'finished']);
  });

  it('ends in time also when its agent ignores the cancel, and drops what it still says', async () => {
    const agent = new ScriptedAgent('a', [text('Hel'), 'wait', text('lo'), done]);
    const ask = agent.generateResponseStream.bind(agent);
    agent.generateResponseStream = (request) =>
      ask(request, { signal: new AbortController().signal, logger: pino({ level: 'silent' }) });
    const { streams, events } = streamsOver([agent], { cancelTimeoutMs: 20 });
    const reply = streams.start(command);
    await untilFrame(reply, 'streaming_token');
    await reply.cancel('client');
    agent.release();
    const frames = await framesOf(reply);
    expect(words(frames)).toBe('Hel');
    expect(frames.at(-1)).toMatchObject({ type: 'cancelled' });
    expect(events).toEqual(['started', 'cancelled']);
  });

  it('is cut off with an error when it grows too long', async () => {
    const { streams } = streamsOver(
      [new ScriptedAgent('a', [text('12345'), text('67890'), text('x'), 'wait'])],
      {
        replyLimitChars: 9,
      },
    );
    const frames = await framesOf(streams.start(command));
    expect(types(frames)).toEqual(['streaming_start', 'streaming_token', 'streaming_token', 'error']);
    expect(frames.at(-1)).toMatchObject({
      code: 'AGENT_FAILED',
      message: expect.stringContaining('9 characters'),
    });
  });

  it('is cut off with an error when it takes too long, and its agent stops', async () => {
    const agent = new ScriptedAgent('a', [text('x'), 'wait']);
    const { streams } = streamsOver([agent], { replyTimeoutMs: 20 });
    const frames = await framesOf(streams.start(command));
    expect(frames.at(-1)).toMatchObject({ type: 'error', code: 'AGENT_TIMEOUT' });
    await streams.close();
    expect(agent.running).toBe(0);
  });

  it('can be had as a whole', async () => {
    const { streams } = streamsOver([new ScriptedAgent('a')]);
    expect(await streams.start(command).whole()).toEqual({
      content: 'Hello there',
      agent: 'a',
      usage: { inputTokens: 1, outputTokens: 2 },
    });
    const failing = streamsOver([new ScriptedAgent('a', [text('x'), new Error('boom')])]).streams;
    await expect(failing.start(command).whole()).rejects.toMatchObject({ code: 'AGENT_FAILED' });
    const falling = streamsOver([
      new ScriptedAgent('a', [new Error('boom')]),
      new ScriptedAgent('b'),
    ]).streams;
    expect(await falling.start(command).whole()).toMatchObject({ content: 'Hello there', agent: 'b' });
  });

  it.each([
    ['client', 'AGENT_DISCONNECTED'],
    ['shutdown', 'SHUTTING_DOWN'],
  ] as const)('cannot be had as a whole after a cancel: %s', async (reason, code) => {
    const { streams } = streamsOver([new ScriptedAgent('a', ['wait'])]);
    const reply = streams.start(command);
    const whole = reply.whole();
    await untilFrame(reply, 'streaming_start');
    await Promise.all([reply.cancel(reason), expect(whole).rejects.toMatchObject({ code })]);
  });
});

describe('streams-memory', () => {
  it('refuses more replies than it may run, and takes the next one when one has ended', async () => {
    const agent = new ScriptedAgent('a', ['wait', done]);
    const { streams } = streamsOver([agent], { maxRunning: 1 });
    const first = streams.start(command);
    expect(() => streams.start(command)).toThrow(
      expect.objectContaining({ code: 'QUEUE_FULL', retryAfterMs: expect.any(Number) }),
    );
    await untilFrame(first, 'streaming_start');
    agent.release();
    await read(first);
    const next = streams.start(command);
    await next.cancel('client');
  });

  it('lets running replies end while it drains, and refuses new ones', async () => {
    const agent = new ScriptedAgent('a', [text('x'), 'wait', done]);
    const { streams } = streamsOver([agent]);
    const reply = streams.start(command);
    await untilFrame(reply, 'streaming_token');
    const drained = streams.drain(new AbortController().signal);
    expect(() => streams.start(command)).toThrow(expect.objectContaining({ code: 'SHUTTING_DOWN' }));
    agent.release();
    await drained;
    expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'streaming_end' });
  });

  it('cancels what still runs at the deadline', async () => {
    const agent = new ScriptedAgent('a', [text('x'), 'wait', done]);
    const { streams } = streamsOver([agent]);
    const reply = streams.start(command);
    await untilFrame(reply, 'streaming_token');
    await streams.drain(AbortSignal.abort());
    expect((await framesOf(reply)).at(-1)).toMatchObject({ type: 'cancelled', reason: 'shutdown' });
    expect(agent.running).toBe(0);
  });
});

describe('the log', () => {
  const frame = (content: string): StreamFrame => ({ type: 'streaming_token', streamId: 's', content });
  const end: StreamFrame = { type: 'cancelled', streamId: 's', reason: 'client', upstreamClosedMs: 0 };

  it('gives every reader everything once and in order, however appends and reads interleave', async () => {
    const step = fc.oneof(
      fc.record({ append: fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { maxLength: 4 }) }),
      fc.record({ join: fc.constant(true) }),
      fc.record({ turn: fc.constant(true) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const log = new ReplyLog();
        const readers: Promise<string>[] = [];
        const join = async () => {
          let joined = '';
          let terminals = 0;
          for await (const batch of log.read())
            for (const { frame: each, position } of batch) {
              if (each.type === 'streaming_token') joined += each.content;
              else terminals++;
              expect(position).toBe(joined.length);
            }
          expect(terminals).toBe(1);
          return joined;
        };
        let whole = '';
        for (const each of steps) {
          if ('append' in each) {
            log.append(each.append.map(frame));
            whole += each.append.join('');
          } else if ('join' in each) readers.push(join());
          else await new Promise(setImmediate);
        }
        log.append([end, frame('too late')]);
        log.append([frame('far too late'), end]);
        readers.push(join());
        for (const joined of await Promise.all(readers)) expect(joined).toBe(whole);
      }),
    );
  });
});
