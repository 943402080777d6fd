import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type AgentCall,
  type ChatRequest,
  type KernelEvents,
  type PluginContext,
  type TaskDefinition,
  WaggleError,
} from '#kernel';
import agentOllama from '../../plugins/agent-ollama/index.js';
import agentProfile from '../../plugins/agent-profile/index.js';
import { eventually } from '../support/eventually.js';
import { plugin } from '../support/kernel.js';
import { ScriptedModel, say, type Turn, use } from '../support/scripted-model.js';
import { startScriptedServer } from '../support/scripted-server.js';
import { outline, ToolHive } from '../support/tool-hive.js';
import { textOf } from '../support/ws-client.js';

const server = new ToolHive();
const delegates = ['*'];

/** A model that does one thing for each new question, and says what it was told. */
const asked = ({ messages }: ChatRequest) => messages.at(-1)?.content ?? '';

describe('an agent that is consulted', () => {
  it('answers the agent that asks, and its text is none of the reply', async () => {
    const queen = new ScriptedModel('m', [
      [say('I ask. '), use('consult_support', { question: 'What is up?' }, 'c1')],
      [say('They say it works.')],
    ]);
    const support = new ScriptedModel('support', [[say('It works.')]], 'Knows what is up');
    await server.start([queen, support], [], { delegates });
    const frames = await server.ask();
    expect(outline(frames)).toEqual([
      'start',
      'token I ask. ',
      'tool_call consult_support',
      'agent support consult started',
      'agent support consult ended',
      'tool_result consult_support',
      'token They say it works.',
      'end',
    ]);
    expect(frames.find(({ type }) => type === 'streaming_agent')).toMatchObject({ parent: 'm' });
    expect(frames.find(({ output }) => output)?.output).toBe('It works.');
    expect(support.requests[0]?.messages).toEqual([{ role: 'user', content: 'What is up?' }]);
    expect(queen.requests[0]?.options?.tools?.map(({ name }) => name)).toEqual([
      'consult_support',
      'hand_over_to_support',
    ]);
    expect(queen.requests[0]?.options?.tools?.[0]?.description).toContain('Knows what is up');
  });

  it('is announced, counted and has a health like any other', async () => {
    const queen = new ScriptedModel('m', [[use('consult_support', { question: 'a' })], [say('Ok.')]]);
    const support = new ScriptedModel('support', [[say('It works.')]]);
    const events: string[] = [];
    const watcher = plugin('watcher', {
      setup(ctx: PluginContext) {
        const tell = (name: string) => (event: { readonly agent: string; readonly usage?: object }) =>
          events.push(`${name} ${event.agent} ${JSON.stringify(event.usage ?? {})}`);
        ctx.bus.on('agent:asked', tell('asked') as (event: KernelEvents['agent:asked']) => void);
        ctx.bus.on('agent:answered', tell('answered') as (event: KernelEvents['agent:answered']) => void);
      },
    });
    await server.start([queen, support], [], { delegates }, { plugins: [watcher] });
    const frames = await server.ask();
    expect(events).toEqual([
      'asked m {}',
      'asked support {}',
      'answered support {"inputTokens":10,"outputTokens":1}',
      'answered m {"inputTokens":20,"outputTokens":2}',
    ]);
    expect(frames.at(-1)).toMatchObject({ usage: { inputTokens: 20, outputTokens: 2 } });
  });

  it.each<[string, Turn | Error, string]>([
    ['fails', new WaggleError('AGENT_UNAVAILABLE', { agent: 'support', why: 'gone' }), 'AGENT_UNAVAILABLE'],
    ['throws anything', new Error('/etc/secret'), 'AGENT_FAILED'],
    ['says nothing', [], 'AGENT_FAILED'],
  ])('and %s is an error for the agent that asks', async (_, turn, code) => {
    const queen = new ScriptedModel('m', [[use('consult_support', { question: 'a' })], [say('Sorry.')]]);
    const support = new ScriptedModel('support', () => {
      if (turn instanceof Error) throw turn;
      return turn;
    });
    await server.start([queen, support], [], { delegates });
    const frames = await server.ask();
    expect(outline(frames).slice(1)).toEqual([
      'tool_call consult_support',
      'agent support consult started',
      'agent support consult failed',
      `tool_result consult_support ${code}`,
      'token Sorry.',
      'end',
    ]);
    expect(JSON.stringify(frames)).not.toContain('secret');
    expect(asked(queen.requests[1] as ChatRequest)).toContain(code);
  });

  it('may ask others, to a limit in depth', async () => {
    const again = new ScriptedModel('again', async function* (_request, call) {
      const { content } = await call.ask('again', { messages: [{ role: 'user', content: 'deeper' }] });
      yield say(content);
    });
    await server.start([again], [], { tools: [] });
    const frames = await server.ask();
    expect(again.requests).toHaveLength(4);
    expect(frames.at(-1)).toMatchObject({ type: 'error', code: 'DELEGATION_LIMIT' });
  });

  it('ends for agents that pass on one another’s answers', async () => {
    const again = new ScriptedModel('again', async function* (request, call) {
      yield* call.stream('again', request);
    });
    await server.start([again], [], { tools: [] });
    expect((await server.ask()).at(-1)).toMatchObject({ code: 'DELEGATION_LIMIT' });
  });

  it('may not be asked any number of times', async () => {
    const many = new ScriptedModel('many', async function* (_request, call) {
      for (let index = 0; index < 1000; index++)
        await call.ask('one', { messages: [{ role: 'user', content: 'a' }] });
      yield say('done');
    });
    const one = new ScriptedModel('one', [[say('1')]]);
    await server.start([many, one], [], { tools: [] });
    expect((await server.ask()).at(-1)).toMatchObject({ code: 'DELEGATION_LIMIT' });
    expect(one.requests).toHaveLength(100);
  });

  it.each([undefined, {}, { messages: 'Hi' }, { messages: [] }])(
    'is not asked nothing: %j',
    async (request) => {
      const first = new ScriptedModel('m', async function* (_request, call) {
        yield say((await call.ask('one', request as never)).content);
      });
      await server.start([first, new ScriptedModel('one', [[say('1')]])], [], { tools: [] });
      expect((await server.ask()).at(-1)).toMatchObject({ code: 'INVALID_REQUEST' });
    },
  );

  it('that does not exist is AGENT_UNKNOWN', async () => {
    const first = new ScriptedModel('m', async function* (_request, call) {
      yield say((await call.ask('nobody', { messages: [{ role: 'user', content: 'Hi' }] })).content);
    });
    await server.start([first], [], { tools: [] });
    expect((await server.ask()).at(-1)).toMatchObject({ code: 'AGENT_UNKNOWN' });
  });
});

describe('an agent that takes the conversation over', () => {
  const handing = (note?: string) =>
    new ScriptedModel('m', [
      [say('One moment. '), use('hand_over_to_support', note === undefined ? {} : { note }, 'c1')],
      [say('I am back.')],
    ]);

  it('speaks to the user as it comes, and has the conversation from then on', async () => {
    const queen = handing('He is angry');
    const support = new ScriptedModel('support', [
      [say('Hello, '), say('support here.')],
      [say('Still me.')],
      [use('hand_over_to_queen', {}, 'c2')],
    ]);
    await server.start([queen, support], [], { delegates });
    const frames = await server.ask({ content: 'My order' });
    expect(outline(frames)).toEqual([
      'start',
      'token One moment. ',
      'tool_call hand_over_to_support',
      'agent support handover started',
      'tool_result hand_over_to_support',
      'token Hello, ',
      'token support here.',
      'agent support handover ended',
      'end',
    ]);
    expect(frames.at(-1)).toMatchObject({ agent: 'support', usage: { inputTokens: 20, outputTokens: 2 } });
    expect(support.requests[0]?.messages).toEqual([
      { role: 'system', content: 'The agent "m" has handed this conversation over: He is angry' },
      { role: 'user', content: 'My order' },
    ]);
    expect((await server.stored()).map(({ content, agent }) => [content, agent])).toEqual([
      ['My order', undefined],
      ['One moment. ', 'support'],
      ['done', 'support'],
      ['Hello, support here.', 'support'],
    ]);
    const next = await server.ask({ content: 'And now?' });
    expect(next[0]).toMatchObject({ agent: 'support' });
    expect(textOf(next)).toBe('Still me.');
    expect(support.requests[1]?.options?.tools?.map(({ name }) => name)).toEqual([
      'consult_m',
      'hand_over_to_m',
      'hand_over_to_queen',
    ]);
    expect(support.requests[1]?.messages.some((message) => 'agent' in message)).toBe(false);
    const back = await server.ask({ content: 'Thanks' });
    expect(textOf(back)).toBe('I am back.');
    expect((await server.ask({ content: 'More' }))[0]).toMatchObject({ agent: 'm' });
  });

  it('that fails before its first word leaves the conversation where it was', async () => {
    const queen = handing();
    const support = new ScriptedModel('support', () => {
      throw new WaggleError('AGENT_UNAVAILABLE', { agent: 'support', why: 'gone' });
    });
    await server.start([queen, support], [], { delegates });
    const frames = await server.ask();
    expect(outline(frames).slice(2)).toEqual([
      'tool_call hand_over_to_support',
      'agent support handover started',
      'agent support handover failed',
      'tool_result hand_over_to_support AGENT_UNAVAILABLE',
      'token I am back.',
      'end',
    ]);
    expect((await server.stored()).every((message) => !('agent' in message))).toBe(true);
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', agent: 'm' });
  });

  it('that fails after it fails the reply', async () => {
    const support = new ScriptedModel('support', async function* () {
      yield say('Hel');
      throw new WaggleError('AGENT_DISCONNECTED', { agent: 'support', why: 'cut' });
    });
    await server.start([handing(), support], [], { delegates });
    const frames = await server.ask();
    expect(outline(frames).slice(-3)).toEqual([
      'token Hel',
      'agent support handover failed',
      'error AGENT_DISCONNECTED',
    ]);
  });

  it('and is gone later is replaced by the candidates', async () => {
    const queen = handing();
    const support = new ScriptedModel('support', [[say('Support.')]]);
    let failing = false;
    const turn = support.turn;
    support.turn = (...args) => {
      if (failing) throw new WaggleError('AGENT_UNAVAILABLE', { agent: 'support', why: 'gone' });
      return turn(...args);
    };
    await server.start([queen, support], [], { delegates });
    await server.ask();
    failing = true;
    const frames = await server.ask();
    expect(frames.at(-1)).toMatchObject({ type: 'message', content: 'I am back.', agent: 'm' });
  });

  it('is taken alone, whatever else the model calls', async () => {
    const queen = new ScriptedModel('m', [
      [use('hand_over_to_a', {}, 'c1'), use('hand_over_to_b', {}, 'c2')],
      [say('no')],
    ]);
    const [a, b] = ['a', 'b'].map((name) => new ScriptedModel(name, [[say(`I am ${name}.`)]]));
    await server.start([queen, a as ScriptedModel, b as ScriptedModel], [], { delegates });
    const frames = await server.ask();
    expect(textOf(frames)).toBe('I am a.');
    expect(outline(frames)).toContain('tool_result hand_over_to_b APPROVAL_DENIED');
  });
});

describe('a route by words', () => {
  it.each([
    ['I lost my invoice!', 'billing'],
    ['INVOICE 7', 'billing'],
    ['invoices', 'm'],
    ['order 1234', 'orders'],
    ['order', 'm'],
    ['x'.repeat(60_000), 'm'],
  ])('sends what has its words to its agent: row %#', async (content, agent) => {
    const models = ['m', 'billing', 'orders'].map((name) => new ScriptedModel(name, [[say('Hi.')]]));
    const routes = [
      { match: 'invoice', agent: 'billing' },
      { match: '/order \\d+$/i', agent: 'orders' },
    ];
    await server.start(models, [], { routes, tools: [] });
    const [first] = await server.ask({ content });
    expect(first).toMatchObject({ agent });
  });
});

describe('a profile', () => {
  const count: TaskDefinition<{ text: string }, number> = {
    name: 'text:count',
    lane: 'main',
    tool: true,
    input: z.object({ text: z.string() }),
    run: ({ text }) => text.length,
  };

  it('is an agent by config: prompt, model, options, tools of its own', async () => {
    const base = new ScriptedModel('base', [[use('text_count', { text: 'abc' })], [say('It is 3.')]]);
    const events: string[] = [];
    const watcher = plugin('watcher', {
      setup(ctx: PluginContext) {
        ctx.bus.on(
          'agent:answered',
          ({ agent, usage }) => void events.push(`${agent} ${usage?.inputTokens ?? '-'}`),
        );
      },
    });
    const profile = {
      agent: 'base',
      model: 'qwen3',
      description: 'Counts',
      systemPrompt: 'You count.',
      tools: ['text:*'],
      options: { temperature: 0.2 },
    };
    await server.start(
      [base],
      [count],
      { candidates: ['agent-profile'], tools: [] },
      {
        plugins: [watcher, agentProfile],
        config: { 'agent-profile': { name: 'agent-profile', ...profile } },
      },
    );
    const frames = await server.ask();
    expect(outline(frames)).toEqual([
      'start',
      'tool_call text:count',
      'tool_result text:count',
      'token It is 3.',
      'end',
    ]);
    expect(frames[0]).toMatchObject({ agent: 'agent-profile' });
    expect(base.requests[0]).toMatchObject({
      model: 'qwen3',
      options: { temperature: 0.2, tools: [{ name: 'text_count' }] },
      messages: [
        { role: 'system', content: 'You count.' },
        { role: 'user', content: 'Hi' },
      ],
    });
    expect((await server.stored()).map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'assistant',
    ]);
    // The tokens count once.
    expect(events).toEqual(['base 10', 'base 10', 'agent-profile -']);
  });
});

describe('a cancel', () => {
  const until = (signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  const wait: TaskDefinition<object, never> = {
    name: 'wait',
    lane: 'main',
    tool: true,
    input: z.object({}),
    run: (_input, { signal }) => until(signal),
  };

  it('walks down three levels of four agents each, and the receipt counts all of them', async () => {
    const names = ['m', 'one', 'two', 'three'];
    const models = names.map((name, level) => {
      const next = names[level + 1];
      return new ScriptedModel(name, async function* (_request, call) {
        if (next === undefined) await until(call.signal);
        const messages = [{ role: 'user' as const, content: 'a' }];
        const answers = await Promise.all(
          Array.from({ length: 4 }, () => call.ask(next as string, { messages })),
        );
        yield say(answers.map(({ content }) => content).join());
      });
    });
    await server.start(models, [], { tools: [] });
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi' });
    await eventually(() => expect(models[3]?.running).toBe(64));
    const { streamId } = await client.until(({ type }) => type === 'streaming_start');
    client.send({ type: 'cancel', streamId });
    const { stopped, unstopped } = await client.until(({ type }) => type === 'cancelled');
    expect(stopped).toEqual({ agents: 85, tools: 0 });
    expect(unstopped).toBeUndefined();
    expect(models.map(({ running }) => running)).toEqual([0, 0, 0, 0]);
    expect(outline(client.frames).slice(0, 2)).toEqual(['start', 'agent one consult started']);
  });

  it('closes the socket of every model, four below each of four', async () => {
    const models = await startScriptedServer({
      body: `${JSON.stringify({ message: { content: 'a' } })}\n`,
      end: 'open',
    });
    const four = (name: string, next: string) =>
      new ScriptedModel(name, async function* (_request, call) {
        const messages = [{ role: 'user' as const, content: 'a' }];
        await Promise.all(Array.from({ length: 4 }, () => call.ask(next, { messages })));
        yield say('never');
      });
    await server.start(
      [four('m', 'one'), four('one', 'ollama')],
      [],
      { tools: [] },
      {
        plugins: [agentOllama],
        config: { 'agent-ollama': { baseUrl: models.url, model: 'm' } },
      },
    );
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi' });
    await eventually(() => expect(models.chats).toHaveLength(16));
    const { streamId } = await client.until(({ type }) => type === 'streaming_start');
    client.send({ type: 'cancel', streamId });
    const { stopped } = await client.until(({ type }) => type === 'cancelled');
    expect(stopped).toEqual({ agents: 21, tools: 0 });
    await Promise.all(models.chats.map(({ closed }) => closed));
    await models.close();
  });

  it('is not needed for agents that were asked by one that has ended', async () => {
    const models = await startScriptedServer({
      body: `${JSON.stringify({ message: { content: 'a' } })}\n`,
      end: 'open',
    });
    const ask = (call: AgentCall, agent: string) =>
      call.ask(agent, { messages: [{ role: 'user', content: 'a' }] });
    const hasty = new ScriptedModel('m', async function* (_request, call) {
      void ask(call, 'ollama').catch(() => {});
      await eventually(() => expect(models.chats).toHaveLength(1));
      yield say('done without it');
    });
    const failing = new ScriptedModel('failing', async function* (_request, call) {
      yield say((await Promise.all([ask(call, 'ollama'), ask(call, 'broken')])).join());
    });
    const broken = new ScriptedModel('broken', async function* () {
      await eventually(() => expect(models.chats).toHaveLength(2));
      yield* [];
      throw new Error('no');
    });
    await server.start(
      [hasty, failing, broken],
      [],
      { tools: [] },
      {
        plugins: [agentOllama],
        config: { 'agent-ollama': { baseUrl: models.url, model: 'm' } },
      },
    );
    expect(textOf(await server.ask())).toBe('done without it');
    await models.chats[0]?.closed;
    expect((await server.ask({ agent: 'failing' })).at(-1)).toMatchObject({ type: 'error' });
    await models.chats[1]?.closed;
    await models.close();
  });

  it('is not needed for a stream that its reader has taken one piece of and left lying', async () => {
    const other = new ScriptedModel('other', [[say('a'), say('b'), say('c')]]);
    const careless = new ScriptedModel('m', async function* (_request, call) {
      const stream = call.stream('other', { messages: [{ role: 'user', content: 'a' }] });
      await stream[Symbol.asyncIterator]().next();
      yield say('enough');
    });
    await server.start([careless, other], [], { tools: [] });
    expect(textOf(await server.ask())).toBe('enough');
    await eventually(() => expect(other.running).toBe(0));
  });

  it('stops tools, of a consulted agent as well', async () => {
    const queen = new ScriptedModel('m', [[use('wait'), use('consult_support', { question: 'a' })]]);
    const support = new ScriptedModel('support', async function* (request, call) {
      yield* call.useTools(['wait'], request, () =>
        (async function* () {
          yield use('wait');
          yield { type: 'done', reason: 'tool_calls' } as const;
        })(),
      );
    });
    await server.start([queen, support], [wait], { delegates });
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi' });
    await eventually(() => expect(server.hive.tasks.countsOf('wait')?.running).toBe(2));
    const { streamId } = await client.until(({ type }) => type === 'streaming_start');
    client.send({ type: 'cancel', streamId });
    const { stopped } = await client.until(({ type }) => type === 'cancelled');
    expect(stopped).toEqual({ agents: 2, tools: 2 });
    expect(server.hive.tasks.countsOf('wait')).toMatchObject({ running: 0, cancelled: 2 });
  });

  it('names what ignores it', async () => {
    const queen = new ScriptedModel('m', [[use('deaf'), use('consult_deaf_agent', { question: 'a' })]]);
    const deaf = new ScriptedModel('deaf_agent', async function* () {
      await new Promise<void>((resolve) => release.push(resolve));
      yield say('late');
    });
    const release: (() => void)[] = [];
    const task: TaskDefinition<object, unknown> = {
      name: 'deaf',
      lane: 'main',
      tool: true,
      input: z.object({}),
      run: () => new Promise<void>((resolve) => release.push(resolve)),
    };
    await server.start(
      [queen, deaf],
      [task],
      { delegates },
      {
        config: {
          'streams-memory': { cancelTimeoutMs: 100 },
          'tasks-tinypool': { cancelGraceMs: 20, workers: 0 },
        },
      },
    );
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi' });
    await eventually(() => expect(release).toHaveLength(2));
    const { streamId } = await client.until(({ type }) => type === 'streaming_start');
    client.send({ type: 'cancel', streamId });
    const { stopped, unstopped } = await client.until(({ type }) => type === 'cancelled');
    expect(unstopped).toEqual(expect.arrayContaining(['deaf', 'deaf_agent']));
    expect(stopped).toMatchObject({ tools: 0 });
    for (const go of release) go();
  });
});
