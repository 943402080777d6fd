import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Agent, type AgentCall, type ChatSink, WaggleError } from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { type Config, config } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { agentContract } from '../../contracts/agent.contract.js';
import { call, done, ScriptedAgent, type Step, text, unstamped } from '../../support/agents.js';

function court(agents: readonly ScriptedAgent[], options: Partial<Config> = {}) {
  const registry = new Registry<ScriptedAgent>('agent');
  for (const agent of agents) registry.add(agent, 'test');
  const store = new MemoryStore(storeConfig.parse({}));
  const candidates = agents.map((agent) => agent.name);
  const told: string[] = [];
  const bus = new Bus((error) => {
    throw error;
  });
  for (const name of ['asked', 'answered', 'failed', 'cancelled'] as const)
    bus.on(`agent:${name}`, ({ agent }) => void told.push(`${name} ${agent}`));
  const queen = new Queen(config.parse({ candidates, ...options }), registry, store, bus);
  return { queen, store, told, bus, registry };
}

const command = { id: 'r1', userId: 'ann', conversationId: 'c1', content: 'Hi' };
const key = { userId: 'ann', conversationId: 'c1' };

type Batch = Parameters<ChatSink['write']>[0];

function sinkOf(write: (batch: Batch) => void): ChatSink {
  let text = '';
  return {
    write(batch) {
      for (const chunk of batch) if (chunk.type === 'text') text += chunk.content;
      write(batch);
    },
    get text() {
      return text;
    },
  };
}

/** What she writes, as it comes, for one call of `collect`. */
const asking =
  (queen: Queen, command: Parameters<Queen['reply']>[0], agentCall: AgentCall) =>
  (write: (batch: Batch) => void) =>
    queen.reply(command, agentCall, sinkOf(write));

async function collect(answer: (write: (batch: Batch) => void) => Promise<void>) {
  const chunks: Batch[number][] = [];
  let error: unknown;
  try {
    await answer((batch) => void chunks.push(...batch));
  } catch (cause) {
    error = cause;
  }
  const words = chunks.map((chunk) => (chunk.type === 'text' ? chunk.content : '')).join('');
  const agents = chunks.filter((chunk) => chunk.type === 'agent');
  return { chunks, words, agents, error };
}

agentContract('agent-queen', async () => {
  const heedless = new ScriptedAgent('a');
  heedless.generateResponseStream = async function* ({ id }) {
    for (let word = 0; word < (id === 'slow' ? 200 : 2); word++) yield text(`${word} `);
    yield done;
  };
  const ask = (id: string) => ({ id, messages: [{ role: 'user' as const, content: 'Hi' }] });
  return {
    agent: court([heedless]).queen,
    request: ask('quick'),
    slowRequest: ask('slow'),
    dispose: () => {},
  };
});

describe('the Queen', () => {
  it('lets the first candidate answer and says who it is', async () => {
    const { queen } = court([new ScriptedAgent('a'), new ScriptedAgent('b')]);
    const { words, agents, chunks } = await collect(asking(queen, command, call()));
    expect(agents).toEqual([{ type: 'agent', agent: 'a', fallback: false }]);
    expect(words).toBe('Hello there');
    expect(chunks.at(-1)).toEqual(done);
  });

  it('leaves no listener behind at the signal of its caller', async () => {
    const { queen } = court([new ScriptedAgent('a')]);
    const { signal } = new AbortController();
    await collect(asking(queen, command, call(signal)));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('passes over a candidate that is not healthy, whether it says so or throws', async () => {
    const [a, b, c] = [new ScriptedAgent('a'), new ScriptedAgent('b'), new ScriptedAgent('c')];
    a.healthy = { healthy: false };
    b.healthy = new Error('broken');
    const { queen } = court([a, b, c]);
    const { agents } = await collect(asking(queen, command, call()));
    expect(agents).toEqual([{ type: 'agent', agent: 'c', fallback: false }]);
  });

  it('takes a candidate back as soon as it is healthy again', async () => {
    const a = new ScriptedAgent('a');
    const { queen } = court([a, new ScriptedAgent('b')]);
    a.healthy = { healthy: false };
    expect((await collect(asking(queen, command, call()))).agents[0]).toMatchObject({ agent: 'b' });
    a.healthy = { healthy: true };
    expect((await collect(asking(queen, command, call()))).agents[0]).toMatchObject({ agent: 'a' });
  });

  it('does not wait for an agent whose health check hangs', async () => {
    const a = new ScriptedAgent('a');
    a.health = () => new Promise(() => {});
    const { queen } = court([a, new ScriptedAgent('b')], { healthTimeoutMs: 20 });
    expect((await collect(asking(queen, command, call()))).agents[0]).toMatchObject({ agent: 'b' });
  });

  it('asks the agent that is named, and only that one', async () => {
    const b = new ScriptedAgent('b', [new WaggleError('AGENT_UNAVAILABLE', { agent: 'b', why: 'no' })]);
    const { queen } = court([new ScriptedAgent('a'), b]);
    const { error, agents } = await collect(asking(queen, { ...command, agent: 'b' }, call()));
    expect(agents).toEqual([{ type: 'agent', agent: 'b', fallback: false }]);
    expect(error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
  });

  it('chooses by herself when she is named', async () => {
    const { queen } = court([new ScriptedAgent('a')]);
    const { agents } = await collect(asking(queen, { ...command, agent: 'queen' }, call()));
    expect(agents[0]).toMatchObject({ agent: 'a' });
  });

  it('says which agents there are when the named one is unknown', async () => {
    const { queen } = court([new ScriptedAgent('a')]);
    const { error } = await collect(asking(queen, { ...command, agent: 'x' }, call()));
    expect(error).toMatchObject({ code: 'AGENT_UNKNOWN', message: expect.stringContaining('known: a') });
  });

  it('asks in order when nobody says to be healthy, and tells what came of it', async () => {
    const down = (agent: string) => new WaggleError('AGENT_UNAVAILABLE', { agent, why: 'start it' });
    const [a, b] = [new ScriptedAgent('a', [down('a')]), new ScriptedAgent('b')];
    a.healthy = { healthy: false };
    b.healthy = { healthy: false };
    const { queen } = court([a, b]);
    expect((await collect(asking(queen, command, call()))).words).toBe('Hello there');
    b.script = [down('b')];
    const { error } = await collect(asking(queen, command, call()));
    expect(error).toMatchObject({ code: 'AGENT_UNAVAILABLE', message: expect.stringContaining('start it') });
  });

  it('says what to do when there is nobody to ask', async () => {
    const { queen } = court([], { candidates: ['a'] });
    const { error } = await collect(asking(queen, command, call()));
    expect(error).toMatchObject({
      code: 'AGENT_UNAVAILABLE',
      message: expect.stringContaining('start a model server'),
      retryAfterMs: expect.any(Number),
    });
  });

  it.each<[string, readonly Step[]]>([
    ['throws', [new Error('boom')]],
    ['ends without done', []],
    ['yields something that is no chunk', [{ type: 'text' } as never]],
    ['yields nothing at all', [undefined as never]],
  ])('asks the next candidate when the first one %s before its first token', async (_, script) => {
    const { queen, store } = court([new ScriptedAgent('a', script), new ScriptedAgent('b')]);
    const { agents, words } = await collect(asking(queen, command, call()));
    expect(agents).toEqual([
      { type: 'agent', agent: 'a', fallback: false },
      { type: 'agent', agent: 'b', fallback: true },
    ]);
    expect(words).toBe('Hello there');
    expect(await store.read(key)).toHaveLength(2);
  });

  it.each<[string, Step, string]>([
    ['throws', new Error('boom'), 'AGENT_FAILED'],
    [
      'throws an error of the catalogue',
      new WaggleError('AGENT_TIMEOUT', { agent: 'a', phase: 'x', timeoutMs: 1 }),
      'AGENT_TIMEOUT',
    ],
    ['yields something that is no chunk', 'nonsense' as never, 'AGENT_PROTOCOL'],
  ])('never repeats text: when an agent %s after its first token, that is the end', async (_, step, code) => {
    const b = new ScriptedAgent('b');
    const { queen, store } = court([new ScriptedAgent('a', [text('Hel'), step]), b]);
    const { words, error } = await collect(asking(queen, command, call()));
    expect(words).toBe('Hel');
    expect(error).toMatchObject({ code });
    expect(String(error)).not.toContain('boom');
    expect(b.requests).toHaveLength(0);
    expect(unstamped(await store.read(key))).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hel', end: 'failed' },
    ]);
  });

  it('ignores what an agent says after done', async () => {
    const { queen } = court([new ScriptedAgent('a', [text('x'), [done, text('y')], text('z')])]);
    const { words, chunks } = await collect(asking(queen, command, call()));
    expect(words).toBe('x');
    expect(chunks.filter((chunk) => chunk.type === 'done')).toHaveLength(1);
  });

  it('gives an agent the conversation so far, the system prompt first', async () => {
    const a = new ScriptedAgent('a');
    const { queen } = court([a], { systemPrompt: 'Be brief' });
    await collect(asking(queen, command, call()));
    await collect(asking(queen, { ...command, content: 'And now?' }, call()));
    expect(a.requests[1]?.messages).toEqual([
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello there' },
      { role: 'user', content: 'And now?' },
    ]);
  });

  it.each([1, 2, 3])('gives an agent no more than %i messages', async (contextMessages) => {
    const a = new ScriptedAgent('a');
    const { queen } = court([a], { contextMessages });
    for (let turn = 0; turn < 4; turn++) await collect(asking(queen, command, call()));
    // A window does not begin with an answer.
    expect(a.requests.at(-1)?.messages).toHaveLength(contextMessages === 2 ? 1 : contextMessages);
    expect(a.requests.at(-1)?.messages.at(-1)).toEqual({ role: 'user', content: 'Hi' });
  });

  it('keeps the conversations of two users apart, also under one id', async () => {
    const a = new ScriptedAgent('a');
    const { queen } = court([a]);
    await collect(asking(queen, command, call()));
    await collect(asking(queen, { ...command, userId: 'bob' }, call()));
    expect(a.requests[1]?.messages).toEqual([{ role: 'user', content: 'Hi' }]);
  });

  it('keeps a question that was cancelled, and what its client has got of the answer', async () => {
    const a = new ScriptedAgent('a', [text('Hel'), 'wait', text('lo'), done]);
    const { queen, store } = court([a]);
    const abort = new AbortController();
    const { error } = await collect((write) =>
      queen.reply(
        command,
        call(abort.signal),
        sinkOf((batch) => {
          write(batch);
          if (batch[0]?.type === 'text') abort.abort();
        }),
      ),
    );
    expect(error).toBeDefined();
    expect(unstamped(await store.read(key))).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hel', end: 'cancelled' },
    ]);
    expect(a.running).toBe(0);
  });

  const refused = (details: object) => new WaggleError('AGENT_FAILED', { agent: 'a', why: 'no', ...details });
  /** Aborts once the agent has said something. */
  const stopping = (write: (batch: Batch) => void, abort: AbortController) =>
    sinkOf((batch) => {
      write(batch);
      if (batch[0]?.type === 'text') abort.abort();
    });

  it.each<[end: string, isFault: boolean, script: readonly Step[], isStopped?: boolean]>([
    ['a whole answer', false, [text('Hi'), done]],
    // Stopped by whoever asked, at a limit of an answer, at the end of its time, at the end of the server.
    ['a stop before the first token', false, ['wait', done], true],
    ['a stop in the middle', false, [text('Hi'), 'wait', done], true],
    ['a stop that the agent answers with an error', false, [text('Hi'), new Error('gone')], true],
    ['BUSY', false, [new WaggleError('BUSY', { limit: 1, what: 'answers' })]],
    [
      'a full queue of its server',
      false,
      [new WaggleError('AGENT_UNAVAILABLE', { agent: 'a', why: 'x', busy: 429, retryAfterMs: 60_000_000 })],
    ],
    ['QUEUE_FULL', false, [new WaggleError('QUEUE_FULL', { limit: 1, what: 'x', retryAfterMs: 1 })]],
    ['SHUTTING_DOWN', false, [new WaggleError('SHUTTING_DOWN', {})]],
    ['TOO_LARGE', false, [new WaggleError('TOO_LARGE', { limitBytes: 1 })]],
    ['INVALID_REQUEST', false, [new WaggleError('INVALID_REQUEST', { issues: ['x'] })]],
    ['TASK_CANCELLED', false, [new WaggleError('TASK_CANCELLED', { task: 'x' })]],
    ['a model that it does not have', false, [refused({ model: 'm' })]],
    ['a request that its server does not take', false, [refused({ refused: 400 })]],
    ['an error that it threw', true, [new Error('broken')]],
    ['an error after its first token', true, [text('Hi'), new Error('broken')]],
    ['AGENT_FAILED', true, [refused({})]],
    ['AGENT_UNAVAILABLE', true, [new WaggleError('AGENT_UNAVAILABLE', { agent: 'a', why: 'x' })]],
    ['AGENT_TIMEOUT', true, [new WaggleError('AGENT_TIMEOUT', { agent: 'a', phase: 'x', timeoutMs: 1 })]],
    ['AGENT_PROTOCOL', true, [{ type: 'odd' } as unknown as Step]],
    ['AGENT_DISCONNECTED', true, [text('Hi')]],
    ['TASK_CRASHED', true, [new WaggleError('TASK_CRASHED', { task: 'x', why: 'x' })]],
    ['an error of a catalogue of its own', true, [Object.assign(new Error('x'), { code: 'EPIPE' })]],
  ])(
    'after %s her agent is looked at again before the next request: %s',
    async (_, isFault, script, isStopped) => {
      const a = new ScriptedAgent('a', script);
      let looks = 0;
      a.health = async () => {
        looks++;
        return { healthy: true };
      };
      const { queen } = court([a], { healthTtlMs: 60_000 });
      const abort = new AbortController();
      const first = collect((write) =>
        queen.reply(command, call(abort.signal), isStopped ? stopping(write, abort) : sinkOf(write)),
      );
      if (isStopped && script[0] === 'wait') {
        await expect.poll(() => a.running).toBe(1);
        abort.abort();
      }
      await first;
      expect(looks).toBe(1);
      a.script = [done];
      await collect(asking(queen, command, call()));
      expect(looks).toBe(isFault ? 2 : 1);
    },
  );

  it('does not doubt an agent for a reader who leaves, or takes no more', async () => {
    const a = new ScriptedAgent('a', [text('Hi'), text('there'), done]);
    let looks = 0;
    a.health = async () => ({ healthy: ++looks > 0 });
    const { queen, told } = court([a], { healthTtlMs: 60_000 });
    const request = { id: 'r', messages: [{ role: 'user' as const, content: 'Hi' }] };
    for await (const _ of queen.generateResponseStream(request, call())) break;
    const { error } = await collect(() =>
      queen.reply(
        command,
        call(),
        sinkOf((batch) => {
          if (batch[0]?.type === 'text') throw new Error('full');
        }),
      ),
    );
    expect(error).toBeDefined();
    await collect(asking(queen, command, call()));
    expect(looks).toBe(1);
    await expect.poll(() => told.filter((event) => event === 'cancelled a')).toHaveLength(2);
  });

  it.each<[when: string, abortAt: 'text' | 'done']>([
    ['while it is being stored', 'text'],
    ['by its last piece', 'done'],
  ])('keeps of an answer that is cut off %s only what the client has got', async (_, abortAt) => {
    const { queen, store } = court([new ScriptedAgent('a', [text('Hello'), done])]);
    const abort = new AbortController();
    if (abortAt === 'text') {
      const append = store.append.bind(store);
      store.append = async (...args) => {
        await append(...args);
        abort.abort();
      };
    }
    const { error } = await collect((write) =>
      queen.reply(
        command,
        call(abort.signal),
        sinkOf((batch) => {
          abort.signal.throwIfAborted();
          write(batch);
          if (batch.at(-1)?.type === abortAt && abortAt === 'done') abort.abort();
        }),
      ),
    );
    expect(Boolean(error)).toBe(abortAt === 'text');
    expect(unstamped(await store.read(key))).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello', end: 'cancelled' },
    ]);
  });

  const busy = () =>
    new WaggleError('AGENT_UNAVAILABLE', { agent: 'a', why: 'x', busy: 503, retryAfterMs: 1 });

  it('asks a full agent again, and says before the start how many are before', async () => {
    const a = new ScriptedAgent('a', [busy()]);
    const { queen, told } = court([a]);
    const [first, second] = ['c1', 'c2'].map((conversationId) =>
      collect(asking(queen, { ...command, conversationId }, call())),
    );
    await expect.poll(() => a.requests.length).toBeGreaterThan(4);
    a.script = [text('Hi'), done];
    const aheads = (chunks: readonly Batch[number][] = []) =>
      chunks.flatMap((chunk) => (chunk.type === 'queued' ? chunk.ahead : []));
    const [one, two] = [await first, await second];
    expect([one?.words, two?.words]).toEqual(['Hi', 'Hi']);
    expect([aheads(one?.chunks)[0], aheads(two?.chunks)[0]]).toEqual([1, 2]);
    expect(one?.chunks.findIndex(({ type }) => type === 'agent')).toBe(aheads(one?.chunks).length);
    expect(told.filter((each) => each === 'answered a')).toHaveLength(2);
    expect(queen.waiting.size).toBe(0);
  });

  it('stops asking a full agent with the client, and keeps the question', async () => {
    const a = new ScriptedAgent('a', [busy()]);
    const { queen, store } = court([a]);
    const abort = new AbortController();
    const collected = collect(asking(queen, command, call(abort.signal)));
    await expect.poll(() => a.requests.length).toBeGreaterThan(1);
    abort.abort();
    expect((await collected).error).toBeDefined();
    expect(unstamped(await store.read(key))).toEqual([{ role: 'user', content: 'Hi', end: 'cancelled' }]);
    expect(queen.waiting.size).toBe(0);
  });

  it('gives up on a full agent when its own time is over, and lets the next one answer', async () => {
    const { queen } = court([new ScriptedAgent('a', [busy()]), new ScriptedAgent('b')]);
    const { words, agents } = await collect(asking(queen, command, { ...call(), timeoutMs: 40 }));
    expect(words).toBe('Hello there');
    // The first one had not begun.
    expect(agents).toEqual([{ type: 'agent', agent: 'b', fallback: false }]);
  });

  it.each<[what: string, script: readonly Step[]]>([
    ['a lone end', [done]],
    ['empty pieces', [text(''), { type: 'thinking', content: '' }, done]],
    ['an end at its limit', [[{ type: 'done', reason: 'length' }]]],
  ])('takes an answer of nothing for none: %s', async (_, script) => {
    const { queen, store } = court([new ScriptedAgent('a', script), new ScriptedAgent('b')]);
    expect((await collect(asking(queen, command, call()))).words).toBe('Hello there');
    const { error } = await collect(asking(queen, { ...command, conversationId: 'd', agent: 'a' }, call()));
    expect(error).toMatchObject({ code: 'AGENT_FAILED' });
    const kept = unstamped(await store.read({ ...key, conversationId: 'd' }));
    expect(kept).toEqual([{ role: 'user', content: 'Hi', end: 'failed' }]);
  });

  const tools = [{ name: 'look' }];
  const images = [{ role: 'user' as const, content: 'Hi', images: ['data:image/png;base64,AA=='] }];
  it.each<[what: string, more: object, able: readonly ('tools' | 'images' | 'format')[], expected: string]>([
    ['tools', { options: { tools } }, ['tools'], 'b'],
    ['a format', { options: { format: 'json' } }, ['format'], 'b'],
    ['images', { messages: images }, ['images'], 'b'],
    ['words alone', {}, [], 'a'],
    ['tools that nobody has', { options: { tools } }, ['images'], 'it takes no tools'],
  ])('asks who has what a request needs: %s', async (_, more, able, expected) => {
    const agents = [new ScriptedAgent('a'), new ScriptedAgent('b')];
    for (const [agent, capabilities] of [
      [agents[0], []],
      [agents[1], able],
    ] as const)
      Object.assign(agent as object, { capabilities });
    const { queen } = court(agents);
    const { chunks, error } = await collect(asking(queen, { ...command, ...more }, call()));
    const chosen = chunks.flatMap((chunk) => (chunk.type === 'agent' ? chunk.agent : []));
    if (expected.length === 1) expect(chosen).toEqual([expected]);
    else
      expect(error).toMatchObject({ details: { refused: 400 }, message: expect.stringContaining(expected) });
  });

  it.each<[what: string, more: object, answers: boolean]>([
    ['words alone', {}, true],
    ['tools', { options: { tools } }, false],
    ['a format', { options: { format: { type: 'object' } } }, false],
    ['images', { messages: images }, false],
    ['a model', { demo: false }, false],
  ])(
    'lets a demonstration answer where no model was reached, and %s asked for: %s',
    async (_, more, answers) => {
      const down = new WaggleError('AGENT_UNAVAILABLE', { agent: 'a', why: 'start it' });
      const a = new ScriptedAgent('a', [down]);
      a.healthy = { healthy: false };
      const demo = Object.assign(new ScriptedAgent('demo'), { demo: true });
      const { queen } = court([a, demo]);
      const { words, error } = await collect(asking(queen, { ...command, ...more }, call()));
      if (answers) expect(words).toMatch(/^This is a demonstration.*\n\nHello there$/);
      else expect([words, error]).toMatchObject(['', { code: 'AGENT_UNAVAILABLE' }]);
      // By its name it answers as ever.
      const named = await collect(asking(queen, { ...command, ...more, agent: 'demo' }, call()));
      expect(named.words).toBe('Hello there');
      a.script = [text('Hi'), done];
      a.healthy = { healthy: true };
      expect((await collect(asking(queen, command, call()))).words).toBe('Hi');
      a.script = [down];
      expect((await collect(asking(queen, command, call()))).error).toMatchObject({
        code: 'AGENT_UNAVAILABLE',
      });
    },
  );

  it('does not ask the next candidate after a cancel', async () => {
    const b = new ScriptedAgent('b');
    const { queen } = court([new ScriptedAgent('a', ['wait', done]), b]);
    const abort = new AbortController();
    const collected = collect(asking(queen, command, call(abort.signal)));
    abort.abort();
    expect((await collected).error).toBeDefined();
    expect(b.requests).toHaveLength(0);
  });

  it('delivers a whole answer even if it cannot be stored', async () => {
    const { queen, store } = court([new ScriptedAgent('a')]);
    store.append = () => Promise.reject(new Error('disk full'));
    const { words, error } = await collect(asking(queen, command, call()));
    expect(error).toBeUndefined();
    expect(words).toBe('Hello there');
  });

  it('answers as an agent without remembering anything', async () => {
    const a = new ScriptedAgent('a');
    const { queen, store } = court([a]);
    const request = { id: 'r', messages: [{ role: 'user' as const, content: 'Hi' }] };
    let words = '';
    for await (const batch of queen.generateResponseStream(request, call()))
      for (const chunk of batch) if (chunk.type === 'text') words += chunk.content;
    expect(words).toBe('Hello there');
    expect(await store.read(key)).toEqual([]);
  });

  it('says nothing more as an agent once her call is aborted, whatever her candidate still says', async () => {
    const abort = new AbortController();
    const a = new ScriptedAgent('a');
    a.generateResponseStream = async function* () {
      yield text('Hel');
      abort.abort();
      yield [text('lo'), done];
    };
    const { queen } = court([a]);
    const request = { id: 'r', messages: [{ role: 'user' as const, content: 'Hi' }] };
    let words = '';
    const answered = (async () => {
      for await (const batch of queen.generateResponseStream(request, call(abort.signal)))
        for (const chunk of batch) if (chunk.type === 'text') words += chunk.content;
    })();
    await expect(answered).rejects.toBeInstanceOf(Error);
    expect(words).toBe('Hel');
  });

  it('is healthy when one of her candidates is', async () => {
    const [a, b] = [new ScriptedAgent('a'), new ScriptedAgent('b')];
    a.healthy = { healthy: false };
    const { queen } = court([a, b]);
    expect(await queen.health()).toMatchObject({ healthy: true });
    b.healthy = { healthy: false };
    const lonely = court([a, b]).queen;
    expect(await lonely.health()).toMatchObject({ healthy: false });
  });

  it('never asks herself', async () => {
    const { queen } = court([new ScriptedAgent('a')], { candidates: ['queen', 'a'] });
    expect((await collect(asking(queen, command, call()))).agents[0]).toMatchObject({ agent: 'a' });
  });

  it('lists every agent with its health: herself, her candidates in their order, the others', async () => {
    const [a, b, c] = [new ScriptedAgent('a'), new ScriptedAgent('b'), new ScriptedAgent('c')];
    const modelDetails = [{ name: 'm', contextLength: 4096 }];
    a.healthy = { healthy: true, models: ['m'], modelDetails };
    b.healthy = { healthy: false, detail: 'asleep' };
    const { queen, registry } = court([a, b, c], { candidates: ['c', 'queen', 'a', 'c', 'nobody'] });
    registry.add(queen as unknown as ScriptedAgent, 'test');
    const { name, description } = queen;
    expect(await queen.statuses()).toEqual([
      { name, description, healthy: true },
      { name: 'c', healthy: true },
      { name: 'a', healthy: true, models: ['m'], modelDetails },
      { name: 'b', healthy: false, detail: 'asleep' },
    ]);
  });

  it('announces whom she asks, and once for each how that ended', async () => {
    const broken = new ScriptedAgent('a', [new Error('no')]);
    const { queen, told } = court([broken, new ScriptedAgent('b')]);
    await collect(asking(queen, command, call()));
    expect(told).toEqual(['asked a', 'failed a', 'asked b', 'answered b']);
  });

  it('announces what an answer has cost, and that one was stopped', async () => {
    const end = { ...done, model: 'm:1b' };
    const { queen, bus } = court([new ScriptedAgent('a', [text('Hi'), [end]])]);
    const ends: object[] = [];
    for (const name of ['answered', 'cancelled'] as const)
      bus.on(`agent:${name}`, (event) => void ends.push({ name, ...event }));
    await collect(asking(queen, command, call()));
    const about = {
      attempt: expect.any(Number),
      streamId: 'r1',
      userId: command.userId,
      agent: 'a',
      runMs: expect.any(Number),
    };
    const { type: _, ...cost } = end;
    expect(ends).toEqual([{ name: 'answered', ...about, ...cost }]);

    const waiting = court([new ScriptedAgent('a', [text('Hi'), 'wait'])]);
    waiting.bus.on('agent:cancelled', (event) => void ends.push({ name: 'cancelled', ...event }));
    const abort = new AbortController();
    await collect((write) =>
      asking(
        waiting.queen,
        command,
        call(abort.signal),
      )((batch) => {
        write(batch);
        if (batch.some(({ type }) => type === 'text')) abort.abort();
      }),
    );
    expect(ends[1]).toEqual({ name: 'cancelled', ...about });
    expect(waiting.told).toEqual(['asked a', 'cancelled a']);
  });

  it('hands what listeners want to be sent along to the agent', async () => {
    let headers: unknown;
    const curious: Agent = {
      name: 'a',
      async *generateResponseStream(_, given) {
        headers = given.headers;
        yield done;
      },
    };
    const { queen, bus } = court([curious as ScriptedAgent]);
    bus.on('agent:asked', (event) => {
      event.headers.traceparent = 'x';
    });
    await collect(asking(queen, command, call()));
    expect(headers).toEqual({ traceparent: 'x' });
  });
});

describe('a turn that takes the place of a question', () => {
  /** Two turns, and the numbers of their questions. */
  async function talk(options: Partial<Config> = {}) {
    const a = new ScriptedAgent('a');
    const { queen, store } = court([a], options);
    for (const content of ['one', 'two']) {
      a.script = [text(`${content}!`), done];
      await collect(asking(queen, { ...command, id: content, content }, call()));
    }
    const numbers = (await store.page(key, { limit: 9 }))
      .filter(({ message }) => message.role === 'user')
      .map(({ number }) => number);
    return { a, queen, store, numbers };
  }
  const words = (messages: readonly { readonly content: string }[] = []) =>
    messages.map(({ content }) => content);

  it.each([
    ['the last one', 1, ['one', 'one!', 'new'], ['two', 'two!']],
    ['the first one', 0, ['new'], ['one', 'one!', 'two', 'two!']],
  ] as const)(
    'is answered without what was said from there on, which is kept: %s',
    async (_, at, heard, kept) => {
      const { a, queen, store, numbers } = await talk();
      a.script = [text('new!'), done];
      await collect(asking(queen, { ...command, content: 'new', replaces: numbers[at] }, call()));
      expect(words(a.requests.at(-1)?.messages)).toEqual(heard);
      const stored = await store.read(key);
      expect(words(stored)).toEqual([...heard, 'new!']);
      expect(stored[2 * at]?.versions?.map(words)).toEqual([kept]);
      // The next agent gets none of it.
      await collect(asking(queen, { ...command, id: 'r2', content: 'more' }, call()));
      expect(JSON.stringify(a.requests.at(-1)?.messages)).not.toContain('versions');
    },
  );

  it('keeps every version, and none of a question that was not answered', async () => {
    const { a, queen, store, numbers } = await talk();
    let number = numbers[1];
    for (const content of ['a', 'failing', 'b']) {
      a.script = content === 'failing' ? [new Error('broken')] : [text(`${content}!`), done];
      await collect(asking(queen, { ...command, id: content, content, replaces: number }, call()));
      const page = await store.page(key, { limit: 9 });
      number = page.find(({ message }) => message.content === content)?.number;
    }
    const stored = await store.read(key);
    expect(words(stored)).toEqual(['one', 'one!', 'b', 'b!']);
    expect(stored[2]?.versions?.map(words)).toEqual([
      ['two', 'two!'],
      ['a', 'a!'],
    ]);
  });

  it('that is cancelled is kept as far as it came', async () => {
    const { a, queen, store, numbers } = await talk();
    const abort = new AbortController();
    a.script = [text('half'), 'wait', done];
    const asked = collect((write) =>
      asking(
        queen,
        { ...command, content: 'new', replaces: numbers[1] },
        call(abort.signal),
      )((batch) => {
        write(batch);
        if (batch.some((chunk) => chunk.type === 'text')) abort.abort();
      }),
    );
    await asked;
    const stored = await store.read(key);
    expect(words(stored)).toEqual(['one', 'one!', 'new', 'half']);
    expect(stored[2]?.versions?.map(words)).toEqual([['two', 'two!']]);
    expect(stored[3]?.end).toBe('cancelled');
  });

  it.each([
    ['a number that is not there', 10_000],
    ['an answer', 'answer'],
  ] as const)('is refused for %s, and changes nothing', async (_, which) => {
    const { queen, store, numbers } = await talk();
    const before = await store.read(key);
    const replaces = which === 'answer' ? (numbers[0] ?? 0) + 1 : which;
    const { error } = await collect(asking(queen, { ...command, content: 'new', replaces }, call()));
    expect(error).toMatchObject({ code: 'MESSAGE_UNKNOWN' });
    expect(await store.read(key)).toEqual(before);
  });

  it('is refused where the store cannot replace', async () => {
    const { queen, store, numbers } = await talk();
    Object.assign(store, { replace: undefined });
    const { error } = await collect(
      asking(queen, { ...command, content: 'new', replaces: numbers[0] }, call()),
    );
    expect(error).toMatchObject({ code: 'NOT_IMPLEMENTED' });
  });
});
