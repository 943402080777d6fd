import { describe, expect, it } from 'vitest';
import { type StartCommand, type StreamFrame, WaggleError } from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { type StreamsConfig as Config, streamsConfig as config } from '../../../kernel/sdk/streams/config.js';
import { LocalStreams } from '../../../kernel/sdk/streams/local-streams.js';
import { config as queenConfig } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { done, ScriptedAgent, type Step, text } from '../../support/agents.js';
import { createEngine } from '../../support/engine.js';
import { rejection, silentLogger } from '../../support/kernel.js';

const long = 'x'.repeat(1000);
const user = { role: 'user' as const };

function streamsOver(script: readonly Step[], limits: Partial<Config>) {
  const agent = new ScriptedAgent('a', script);
  const agents = new Registry<ScriptedAgent>('agent');
  agents.add(agent, 'test');
  const { engine, tasks } = createEngine({ workers: 0 });
  const bus = new Bus(() => {});
  const store = new MemoryStore(storeConfig.parse({}));
  const queen = new Queen(queenConfig.parse({ candidates: ['a'] }), agents, store, bus);
  const streams = new LocalStreams(queen, engine, config.parse(limits), bus, silentLogger);
  tasks.add(streams.task, 'test');
  return { streams, agent, engine };
}

async function framesOf(streams: LocalStreams, command: Partial<StartCommand> = {}) {
  const frames: StreamFrame[] = [];
  for await (const batch of (await streams.start({ userId: 'ann', content: 'Hi', ...command })).read())
    frames.push(...batch.map(({ frame }) => frame));
  return frames;
}

describe('what a request brings counts while it waits or runs, and no longer', () => {
  it.each<[what: string, Partial<StartCommand>]>([
    ['content', { content: long }],
    ['messages', { messages: [{ ...user, content: long }] }],
    ['many short messages', { messages: Array.from({ length: 20 }, () => ({ ...user, content: '' })) }],
    ['images', { messages: [{ ...user, content: '', images: [long] }] }],
    [
      'arguments of earlier tool calls',
      {
        messages: [
          {
            role: 'assistant',
            content: '',
            toolCalls: [{ id: '1', name: 'look', arguments: JSON.stringify({ at: [long] }) }],
          },
        ],
      },
    ],
    ['tools', { options: { tools: [{ name: 'look', parameters: { description: long } }] } }],
    ['a format', { options: { format: { [long]: 1 } } }],
    ['words to stop at', { options: { stop: Array.from({ length: 300 }, () => '') } }],
    ['metadata', { metadata: { note: long } }],
    ['the name of a model', { model: long }],
  ])('%s', async (_, command) => {
    const { streams, agent } = streamsOver(['wait', text('.'), done], { totalLimitChars: 1800 });
    const reply = await streams.start({ userId: 'ann', content: 'Hi', ...command });
    expect(streams.stats.chars).toBeGreaterThan(1000);
    const refused = streams.start({ userId: 'ben', content: 'Hi', ...command });
    await expect(refused).rejects.toThrow(
      expect.objectContaining({ code: 'QUEUE_FULL', retryAfterMs: 1000 }),
    );
    expect(streams.stats).toMatchObject({ running: 1, waiting: 0 });
    await expect.poll(() => agent.running).toBe(1);
    agent.release();
    // All that is left is the answer.
    expect((await reply.whole()).content).toBe('.');
    expect(streams.stats.chars).toBe(1);
    await streams.close();
  });

  it.each([
    ['the same as its parts, once', long, 1],
    ['another one, besides', 'y'.repeat(1000), 2],
  ])('a picture that is %s', async (_, image, times) => {
    const { streams } = streamsOver([text('.'), done], {});
    const parts = [{ type: 'image' as const, url: long }];
    const messages = [{ ...user, content: '', images: [image], parts }];
    await streams.start({ userId: 'ann', content: '', messages });
    expect(Math.round(streams.stats.chars / long.length)).toBe(times);
    await streams.close();
  });

  it('also when its agent goes on after a cancel: until that has stopped', async () => {
    const { streams, agent } = streamsOver([], { totalLimitChars: 1800, cancelTimeoutMs: 1 });
    let release = () => {};
    agent.generateResponseStream = async function* () {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield text('.');
      yield done;
    };
    const reply = await streams.start({ userId: 'ann', content: long });
    await new Promise(setImmediate);
    await reply.cancel('client');
    expect(reply.ended).toBe(true);
    expect(streams.stats.chars).toBeGreaterThan(1000);
    release();
    await expect.poll(() => streams.stats.chars).toBe(0);
  });

  it.each<[end: string, script: readonly Step[], Partial<StartCommand>]>([
    ['answered', [text('.'), done], {}],
    ['failed', [new Error('no')], {}],
    ['failed, as there is no such agent', [done], { agent: 'nobody' }],
  ])('one that was %s leaves nothing, neither here nor with its task', async (end, script, more) => {
    const { streams, engine } = streamsOver(script, { totalLimitChars: 1800 });
    for (let round = 0; round < 20; round++) {
      const reply = await streams.start({ userId: 'ann', content: long, ...more });
      await reply.whole().catch(() => {});
      expect(await streams.find(reply.streamId)).toBe(reply);
    }
    expect(streams.stats).toMatchObject({ chars: end === 'answered' ? 20 : 0, kept: 20 });
    expect(engine.stats.running).toBe(0);
  });

  it('a cancel while it waits gives it back at once', async () => {
    const { streams } = streamsOver(['wait'], { maxRunning: 1 });
    await streams.start({ userId: 'ann', content: 'Hi' });
    const before = streams.stats.chars;
    await (await streams.start({ userId: 'ann', content: long })).cancel('client');
    expect(streams.stats.chars).toBe(before);
    await streams.close();
  });

  it('a failure is kept without its cause, which may hold the request', async () => {
    const cause = Object.assign(new Error('no'), { request: long });
    const { streams } = streamsOver([cause], {});
    const reply = await streams.start({ userId: 'ann', content: 'Hi' });
    const failure = await rejection(reply.whole());
    expect(failure).toMatchObject({ code: 'AGENT_FAILED' });
    expect(failure.cause).toBeUndefined();
  });
});

describe('what an answer brings counts', () => {
  const call = (more: object) =>
    ({ type: 'tool_call', id: '1', name: 'look', arguments: '{}', ...more }) as const;

  it.each<[what: string, Step]>([
    ['text', text(long)],
    ['thinking', { type: 'thinking', content: long }],
    ['the id of a tool call', call({ id: long })],
    ['its name', call({ name: long })],
    ['its arguments', call({ arguments: { at: long } })],
    ['arguments that are no object', call({ arguments: long })],
    ['pieces of a tool call', { type: 'tool_call_piece', id: '1', name: 'look', arguments: long, from: 0 }],
    [
      'many pieces without text',
      Array.from({ length: 999 }, () => ({ ...call({}), type: 'tool_call_piece', from: 0 }) as const),
    ],
    ['many tool calls', Array.from({ length: 100 }, () => call({}))],
  ])('%s', async (_, step) => {
    const overReply = streamsOver([step, 'wait'], { replyLimitChars: 999 });
    const overTotal = streamsOver([step, 'wait'], { totalLimitChars: 999 });
    for (const { streams, agent } of [overReply, overTotal]) {
      expect((await framesOf(streams)).at(-1)).toMatchObject({ type: 'error', code: 'AGENT_FAILED' });
      await streams.close();
      expect(agent.running).toBe(0);
    }
    const { streams } = streamsOver([step, done], {});
    await framesOf(streams);
    expect(streams.stats.chars).toBeGreaterThanOrEqual(1000);
  });

  it('pieces without content are not kept at all', async () => {
    const empty: Step = [text(''), { type: 'thinking', content: '' }];
    const { streams } = streamsOver([text('a'), empty, empty, text('b'), done], {});
    const types = (await framesOf(streams)).map(({ type }) => type);
    expect(types).toEqual(['streaming_start', 'streaming_token', 'streaming_token', 'streaming_end']);
  });

  it('one pull of a long backlog of tool calls is bounded as one of text is', async () => {
    const calls = Array.from({ length: 200 }, () => call({ arguments: { at: long } }));
    const { streams } = streamsOver([calls, done], {});
    const reply = await streams.start({ userId: 'ann', content: 'Hi' });
    await reply.whole();
    const sizes: number[] = [];
    for await (const batch of reply.read())
      sizes.push(JSON.stringify(batch.map(({ frame }) => frame)).length);
    expect(Math.max(...sizes)).toBeLessThan(50 * 1024);
    expect(sizes.length).toBeGreaterThan(4);
  });

  it('of its place in the line only the newest is kept', async () => {
    const { streams, agent } = streamsOver(['wait', text('.'), done], { maxRunning: 1 });
    const first = await streams.start({ userId: 'ann', content: 'Hi' });
    await new Promise(setImmediate);
    const last = await streams.start({ userId: 'ann', content: 'Hi' });
    for (let round = 0; round < 50; round++) {
      const before = await streams.start({ userId: 'ann', content: 'Hi', priority: 'high' });
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      await before.cancel('client');
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    }
    const [batch = []] = [last.read().take()];
    expect(batch.length).toBeLessThan(10);
    agent.release();
    await first.whole();
    await streams.close();
  });
});

it('a request that alone is more than all may have is refused, and says so', async () => {
  const { streams } = streamsOver([text('.'), done], { totalLimitChars: 500 });
  const refused = await rejection(streams.start({ userId: 'ann', content: long }));
  expect(refused).toBeInstanceOf(WaggleError);
  expect(refused).toMatchObject({ message: expect.stringContaining('500 characters of replies') });
});
