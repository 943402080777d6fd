import { afterEach, describe, expect, it, vi } from 'vitest';
import { type AdmitOptions, Chat, type EventName, TaskEngine } from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { type StreamsConfig as Config, streamsConfig as config } from '../../../kernel/sdk/streams/config.js';
import { LocalReply } from '../../../kernel/sdk/streams/local-reply.js';
import { LocalStreams } from '../../../kernel/sdk/streams/local-streams.js';
import { config as queenConfig } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import streamsMemory from '../../../plugins/streams-memory/index.js';
import { done, ScriptedAgent, type Step, text } from '../../support/agents.js';
import { createEngine } from '../../support/engine.js';
import { plugin, rejection, silentLogger, startKernel } from '../../support/kernel.js';

const task = 'chat:message';
const hi = { userId: 'ann', content: 'Hi' };

function streamsOver(
  script: readonly Step[],
  limits: Partial<Config> = {},
  wrap: (engine: TaskEngine) => TaskEngine = (engine) => engine,
  lane: { readonly mainConcurrency?: number } = {},
) {
  const agent = new ScriptedAgent('a', script);
  const agents = new Registry<ScriptedAgent>('agent');
  agents.add(agent, 'test');
  const { engine, tasks, bus: taskBus } = createEngine({ workers: 0, cancelGraceMs: 60_000, ...lane });
  const bus = new Bus(() => {});
  const events: string[] = [];
  for (const name of ['queued', 'started', 'succeeded', 'failed', 'cancelled', 'rejected'] as const)
    taskBus.on(`task:${name}` satisfies EventName, (event) => void events.push(`${name} ${event.name}`));
  const store = new MemoryStore(storeConfig.parse({}));
  const queen = new Queen(queenConfig.parse({ candidates: ['a'] }), agents, store, bus);
  const streams = new LocalStreams(queen, wrap(engine), config.parse(limits), bus, silentLogger);
  tasks.add(streams.task, 'test');
  return { streams, agent, engine, events };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('replies that begin at the same moment', () => {
  const many = 100;

  it('are all answered, also when some are cancelled before their turn', async () => {
    const { streams, agent, engine } = streamsOver([text('.'), done]);
    const replies = await Promise.all(Array.from({ length: many }, () => streams.start(hi)));
    const [last, ...others] = replies.reverse();
    await last?.cancel('client');
    for (const reply of others) expect((await reply.whole()).content).toBe('.');
    expect(last?.ended).toBe(true);
    expect(agent.requests).toHaveLength(many - 1);
    expect(engine.countsOf(task)).toMatchObject({ succeeded: many - 1, cancelled: 1, running: 0 });
    await streams.close();
  });

  it('end with the server, also those whose turn has not come', async () => {
    const { streams, engine } = streamsOver(['wait']);
    const replies = await Promise.all(Array.from({ length: many }, () => streams.start(hi)));
    await streams.close();
    expect(replies.every(({ ended }) => ended)).toBe(true);
    expect(engine.countsOf(task)).toMatchObject({ cancelled: many, running: 0, waiting: 0 });
  });

  it('let the tokens of a running reply pass between them', async () => {
    const { streams, agent } = streamsOver([text('first'), 'wait', text('second'), done]);
    const running = await streams.start(hi);
    await vi.waitUntil(() => agent.running === 1 && running.position > 0);
    for (let index = 0; index < many; index++) await streams.start(hi);
    agent.release();
    await running.whole();
    // All the others would have been asked first.
    expect(agent.requests.length).toBeLessThan(many);
    await streams.close();
  });
});

describe('an engine that passes the request for a place on', () => {
  it.each<[name: string, derive: (options: AdmitOptions) => AdmitOptions]>([
    ['as it is', (options) => options],
    ['as a copy', (options) => ({ ...options, priority: 'high' })],
    ['with a prototype', (options) => Object.create(options) as AdmitOptions],
    ['by a proxy', (options) => new Proxy(options, {})],
  ])('%s lets a reply leave the line by a cancel', async (_, derive) => {
    const { streams, engine, agent } = streamsOver(['wait'], { maxRunning: 1 }, (inner) => ({
      ...({ countsOf: (name) => inner.countsOf(name) } as TaskEngine),
      admit: (name, options = {}) => inner.admit(name, derive(options)),
    }));
    await streams.start(hi);
    const waiting = await streams.start(hi);
    expect(engine.countsOf(task)).toMatchObject({ waiting: 1 });
    await waiting.cancel('client');
    expect(engine.countsOf(task)).toMatchObject({ waiting: 0, cancelled: 1 });
    expect(agent.requests.length).toBeLessThanOrEqual(1);
    await streams.close();
  });
});

describe('an answer that is complete', () => {
  it('is not aborted afterwards', async () => {
    const { streams } = streamsOver([text('.'), done]);
    const reply = (await streams.start(hi)) as LocalReply;
    await reply.whole();
    await new Promise(setImmediate);
    expect(reply.abort.isAborted()).toBe(false);
    await streams.close();
    expect(reply.abort.isAborted()).toBe(false);
  });
});

describe('the place of a reply', () => {
  it.each<[end: string, script: readonly Step[], outcome: string]>([
    ['is complete', [text('.'), done], 'succeeded'],
    ['has failed', [new Error('no')], 'failed'],
    ['is cut off', [text('too long'), 'wait'], 'failed'],
  ])('is released when the reply %s, and counts as one run', async (_, script, outcome) => {
    const { streams, engine, events } = streamsOver(script, { replyLimitChars: 5 });
    await (await streams.start(hi)).whole().catch(() => {});
    expect(events).toEqual([`queued ${task}`, `started ${task}`, `${outcome} ${task}`]);
    expect(engine.countsOf(task)).toMatchObject({ submitted: 1, [outcome]: 1, running: 0 });
    expect(streams.stats).toMatchObject({ running: 0, waiting: 0 });
    await streams.close();
  });

  it.each([
    ['before its turn has begun', 0, 'running'],
    ['while its agent answers', 1, 'running'],
    ['while it waits', 0, 'waiting'],
  ])('is given back by one cancel %s', async (_, running, where) => {
    const { streams, agent, engine } = streamsOver(['wait'], { maxRunning: 1 });
    if (where === 'waiting') await streams.start(hi);
    const cancel = vi.spyOn(LocalReply.prototype, 'cancel');
    const reply = await streams.start(hi);
    expect(streams.stats).toMatchObject({ [where]: 1 });
    await vi.waitUntil(() => agent.running >= running);
    expect(await reply.cancel('client')).toEqual({
      upstreamClosedMs: expect.any(Number),
      stopped: expect.anything(),
    });
    await new Promise(setImmediate);
    expect(cancel).toHaveBeenCalledTimes(1);
    expect(engine.countsOf(task)).toMatchObject({ cancelled: 1, [where]: 0 });
    await streams.close();
  });

  it('is held until the reply ends, also when its agent ignores the cancel', async () => {
    const { streams, agent } = streamsOver([text('x'), 'wait', done], { maxRunning: 1, cancelTimeoutMs: 5 });
    const original = agent.generateResponseStream.bind(agent);
    const deaf = new AbortController().signal;
    agent.generateResponseStream = (request, call) => original(request, { ...call, signal: deaf });
    const first = await streams.start(hi);
    await vi.waitUntil(() => agent.running === 1);
    const second = await streams.start(hi);
    const cancelled = first.cancel('client');
    expect(streams.stats).toMatchObject({ running: 1, waiting: 1 });
    await cancelled;
    expect(streams.stats).toMatchObject({ running: 1, waiting: 0 });
    // Both calls: the first one goes on without its reply.
    await vi.waitUntil(() => agent.running === 2);
    agent.release();
    await second.whole();
    expect(streams.stats).toMatchObject({ running: 0, waiting: 0 });
  });

  it('is lost when the engine stops: the reply is cancelled, whether it waits or runs', async () => {
    const { streams, agent, engine } = streamsOver(['wait'], { maxRunning: 1 });
    const wholes = [await streams.start(hi), await streams.start(hi)].map((reply) =>
      rejection(reply.whole()),
    );
    await vi.waitUntil(() => agent.running === 1);
    await engine.close();
    for (const whole of wholes) expect(await whole).toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(engine.countsOf(task)).toMatchObject({ cancelled: 2, running: 0, waiting: 0 });
  });

  it('is refused with the reply, which leaves nothing', async () => {
    const { streams, events } = streamsOver(['wait'], { maxRunning: 1, maxWaiting: 0 });
    const first = await streams.start(hi);
    const { chars } = streams.stats;
    await expect(streams.start({ ...hi, requestId: 'r' })).rejects.toThrow(
      expect.objectContaining({ code: 'QUEUE_FULL' }),
    );
    expect(events.at(-1)).toBe(`rejected ${task}`);
    expect(streams.stats.chars).toBe(chars);
    expect(streams.list()).toEqual([first]);
    await first.cancel('client');
    expect(await streams.start({ ...hi, requestId: 'r' })).not.toBe(first);
    await streams.close();
  });
});

it.each([
  ['the limit of replies', { maxRunning: 1 }, {}],
  ['the limit of the lane', {}, { mainConcurrency: 1 }],
  ['both', { maxRunning: 1 }, { mainConcurrency: 1 }],
])(
  'users take turns at %s: 900 replies of one delay the first of another by two at most',
  async (_, limits, lane) => {
    const { streams, agent } = streamsOver([text('.'), done], limits, undefined, lane);
    const many = await Promise.all(Array.from({ length: 901 }, () => streams.start(hi)));
    const other = await streams.start({ ...hi, userId: 'bob' });
    const late = await streams.start({ ...hi, userId: 'cid' });
    for (const reply of [...many, other, late]) await reply.whole();
    const users = agent.requests.map(({ userId }) => userId);
    expect(users.slice(0, 5).sort()).toEqual(['ann', 'ann', 'ann', 'bob', 'cid']);
    expect(users).toHaveLength(903);
    await streams.close();
  },
);

it('the task of replies is not one to submit', async () => {
  const { engine } = streamsOver([]);
  expect(await rejection((await engine.submit(task, 'x')).result)).toMatchObject({ code: 'TASK_FAILED' });
});

it('an engine without "admit" is refused at the start', async () => {
  const { admit: _, ...old } = Object.create(null) as TaskEngine;
  const provider = plugin('old-engine', {
    provides: [TaskEngine, Chat],
    setup: (ctx) => {
      ctx.provide(TaskEngine, old as TaskEngine);
      ctx.provide(Chat, { reply: async () => {} } as unknown as Chat);
    },
  });
  const error = await rejection(startKernel([provider, streamsMemory]));
  expect(error.message).toContain('is too old: its engine has no "admit"');
});
