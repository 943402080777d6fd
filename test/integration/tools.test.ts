import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AgentCall, ChatRequest, TaskDefinition } from '#kernel';
import { unstamped } from '../support/agents.js';
import { ScriptedModel, say, type Turn, use } from '../support/scripted-model.js';
import { outline, ToolHive } from '../support/tool-hive.js';
import { call } from '../support/transport.js';
import { type Frame, textOf } from '../support/ws-client.js';

const count: TaskDefinition<{ text: string }, number> = {
  name: 'text:count',
  description: 'Counts characters',
  lane: 'main',
  tool: true,
  input: z.object({ text: z.string() }),
  run: ({ text }) => text.length,
};

const server = new ToolHive();

describe('a task that is a tool', () => {
  it('is offered to the model, run by the server, and its result told to the model', async () => {
    const model = new ScriptedModel('m', [
      [say('Let me '), say('count. '), use('text_count', { text: 'abcde' }, 'c1')],
      [say('It has 5.')],
    ]);
    await server.start([model], [count]);
    const frames = await server.ask({ content: 'How long is abcde?', conversationId: 'k' });
    const { streamId } = frames[0] as Frame;
    expect(frames).toEqual([
      { type: 'streaming_start', streamId, agent: 'm', conversationId: 'k' },
      { type: 'streaming_token', streamId, content: 'Let me ' },
      { type: 'streaming_token', streamId, content: 'count. ' },
      {
        type: 'streaming_tool_call',
        ...{ streamId, id: 'c1', name: 'text:count', executor: 'server', arguments: { text: 'abcde' } },
      },
      {
        type: 'streaming_tool_result',
        ...{ streamId, id: 'c1', name: 'text:count', output: 5, durationMs: expect.any(Number) },
      },
      { type: 'streaming_token', streamId, content: 'It has 5.' },
      {
        type: 'streaming_end',
        ...{ streamId, reason: 'stop', agent: 'm', timings: expect.anything() },
        usage: { inputTokens: 20, outputTokens: 2 },
      },
    ]);
    expect(model.requests[0]?.options?.tools).toEqual([
      {
        name: 'text_count',
        description: 'Counts characters',
        parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
      },
    ]);
    expect(model.requests[1]?.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: 'Let me count. ',
        toolCalls: [{ id: 'c1', name: 'text_count', arguments: '{"text":"abcde"}' }],
      },
      { role: 'tool', content: '5', toolCallId: 'c1', toolName: 'text_count' },
    ]);
    expect(unstamped(await server.stored('k'))).toEqual([
      { role: 'user', content: 'How long is abcde?' },
      {
        role: 'assistant',
        content: 'Let me count. ',
        toolCalls: [{ id: 'c1', name: 'text:count', arguments: '{"text":"abcde"}', executor: 'server' }],
      },
      { role: 'tool', content: '5', toolCallId: 'c1', toolName: 'text:count' },
      { role: 'assistant', content: 'It has 5.' },
    ]);
    await server.ask({ content: 'Thanks', conversationId: 'k' });
    expect(
      model.requests[2]?.messages.map(({ toolCalls, toolName }) => toolCalls?.[0]?.name ?? toolName),
    ).toEqual([undefined, 'text_count', 'text_count', undefined, undefined]);
  });

  it.each<[string, Turn, object]>([
    ['throws', [use('bad')], { code: 'TASK_FAILED' }],
    ['takes too long', [use('slow')], { code: 'TASK_TIMEOUT' }],
    ['does not exist', [use('unknown')], { code: 'TASK_UNKNOWN' }],
    ['gets arguments that are no JSON', [use('text_count', '{"text":')], { code: 'INVALID_JSON' }],
    ['gets a list', [use('text_count', '[1]')], { code: 'INVALID_REQUEST' }],
    ['gets the wrong arguments', [use('text_count', { text: 5 })], { code: 'INVALID_REQUEST' }],
    ['returns 50 MB', [use('huge')], { code: 'TOO_LARGE' }],
    ['returns what is no JSON', [use('circle')], { code: 'TASK_FAILED' }],
    ['returns what throws when it is read', [use('trap')], { code: 'TASK_FAILED' }],
    ['returns what traps every look at it', [use('proxy')], { code: 'TASK_FAILED' }],
    ['wants a person where none is', [use('asked')], { code: 'APPROVAL_DENIED' }],
  ])('that %s is one failed result, and the answer goes on', async (_, turn, error) => {
    const model = new ScriptedModel('m', [turn, [say('So be it.')]]);
    const tool = { lane: 'main' as const, tool: true as const, input: z.object({}) };
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    await server.start(
      [model],
      [
        count,
        { ...tool, name: 'bad', run: () => Promise.reject(new Error('/etc/secret')) },
        {
          ...tool,
          name: 'slow',
          timeoutMs: 20,
          run: (_input, { signal }) =>
            new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        },
        { ...tool, name: 'huge', run: () => 'x'.repeat(50_000_000) },
        { ...tool, name: 'circle', run: () => circle },
        {
          ...tool,
          name: 'trap',
          run: () => ({
            get a() {
              throw new Error('trapped');
            },
          }),
        },
        {
          ...tool,
          name: 'proxy',
          run: () =>
            new Proxy(
              {},
              {
                ownKeys() {
                  throw new Error('trapped');
                },
              },
            ),
        },
        { ...tool, name: 'asked', tool: { approval: 'ask' }, run: () => 1 },
      ],
      { approvalTimeoutMs: 20 },
    );
    const frames = await server.ask();
    const result = frames.find(({ type }) => type === 'streaming_tool_result');
    expect(result).toMatchObject({ error });
    expect(JSON.stringify(result)).not.toContain('secret');
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', reason: 'stop' });
    expect(textOf(frames)).toBe('So be it.');
    const told = model.requests[1]?.messages.at(-1);
    expect(told).toMatchObject({
      role: 'tool',
      content: expect.stringContaining((error as { code: string }).code),
    });
  });

  it('is run beside others, some at a time, with its input as the model wrote it', async () => {
    let running = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const both = {
      name: 'wait',
      lane: 'main' as const,
      tool: true as const,
      input: z.object({ n: z.number() }),
      async run({ n }: { n: number }) {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          if (waiting.length === 2) for (const go of waiting.splice(0)) go();
        });
        running--;
        return n;
      },
    };
    const model = new ScriptedModel('m', [
      [[1, 2, 3, 4].map((n) => use('wait', { n }, `c${n}`))],
      [say('Done.')],
    ]);
    await server.start([model], [both], { toolsAtOnce: 2 });
    await server.ask();
    expect(most).toBe(2);
    // In the order of the calls, whichever came first.
    expect(
      model.requests[1]?.messages.slice(2).map(({ content, toolCallId }) => [toolCallId, content]),
    ).toEqual([
      ['c1', '1'],
      ['c2', '2'],
      ['c3', '3'],
      ['c4', '4'],
    ]);
  });

  it('has a result that is cut, and says so', async () => {
    const model = new ScriptedModel('m', [[use('long')], [say('Ok.')]]);
    const run = () => 'x'.repeat(5000);
    await server.start([model], [{ name: 'long', lane: 'main', tool: true, input: z.object({}), run }], {
      toolResultLimitChars: 1000,
    });
    const frames = await server.ask();
    const cut = `${'x'.repeat(1000)}\n[cut: the first 1000 of 5000 characters]`;
    expect(frames.find(({ output }) => output)?.output).toBe(cut);
    expect(model.requests[1]?.messages.at(-1)?.content).toBe(cut);
  });

  it.each<[string, object, number]>([
    ['rounds', { maxSteps: 3 }, 4],
    ['calls', { maxToolCalls: 2 }, 3],
  ])('is called for ever by a model, and then is not offered: limit of %s', async (_, limits, requests) => {
    const model = new ScriptedModel('m', () => [use('text_count', { text: 'a' })]);
    await server.start([model], [count], limits);
    const frames = await server.ask();
    expect(model.requests).toHaveLength(requests);
    expect(model.requests.at(-1)?.options?.tools).toBeUndefined();
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', reason: 'length' });
    const calls = frames.filter(({ type }) => type === 'streaming_tool_call');
    expect(calls).toHaveLength(requests - 1);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length);
  });

  it('is not run beyond the limit of calls, within one turn as well', async () => {
    const calls = Array.from({ length: 5 }, () => use('text_count', { text: 'a' }));
    await server.start([new ScriptedModel('m', [calls, [say('Ok.')]])], [count], { maxToolCalls: 3 });
    const results = (await server.ask()).filter(({ type }) => type === 'streaming_tool_result');
    expect(results.filter(({ output }) => output === 1)).toHaveLength(3);
    expect(results.filter(({ error }) => error)).toMatchObject([
      { error: { code: 'TOOL_LIMIT' } },
      { error: { code: 'TOOL_LIMIT' } },
    ]);
    expect(server.hive.tasks.countsOf('text:count')?.submitted).toBe(3);
  });

  it('is not offered any more to a model that writes nothing but broken calls', async () => {
    const model = new ScriptedModel('m', (request) =>
      request.options?.tools ? [use('text_count', '{')] : [say('I give up.')],
    );
    await server.start([model], [count]);
    const frames = await server.ask();
    expect(model.requests).toHaveLength(3);
    expect(textOf(frames)).toBe('I give up.');
  });

  it('gets ids of its own where a model repeats them', async () => {
    const model = new ScriptedModel('m', [
      [use('text_count', { text: 'a' }, 'same'), use('text_count', { text: 'ab' }, 'same')],
      [say('Ok.')],
    ]);
    await server.start([model], [count]);
    const frames = await server.ask();
    const ids = frames.filter(({ type }) => type === 'streaming_tool_result').map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
  });

  it('is left out for a model that takes no tools, which the log says once', async () => {
    const { WaggleError } = await import('#kernel');
    const model = new ScriptedModel('m', (request) => {
      if (!request.options?.tools) return [say('No tools.')];
      throw new WaggleError('AGENT_FAILED', { agent: 'm', why: 'no tools', refused: 400, lacks: 'tools' });
    });
    await server.start([model], [count]);
    expect(textOf(await server.ask())).toBe('No tools.');
    expect(textOf(await server.ask())).toBe('No tools.');
    expect(model.requests.map(({ options }) => Boolean(options?.tools))).toEqual([true, false, false]);
  });

  it('is not offered to an agent that says it takes none', async () => {
    const model = new ScriptedModel('m', [[say('Hello.')]]);
    model.capabilities = ['images'];
    await server.start([model], [count]);
    await server.ask();
    expect(model.requests[0]?.options?.tools).toBeUndefined();
  });

  it('is not offered where the config does not name it, or the request names an agent', async () => {
    const model = new ScriptedModel('m', [[say('Hello.')]]);
    await server.start([model], [count], { tools: ['orders:*'] });
    await server.ask();
    await server.ask({ agent: 'm' });
    expect(model.requests.map(({ options }) => options?.tools)).toEqual([undefined, undefined]);
  });

  it('leaves text, and no call, to clients of other APIs', async () => {
    const script: Turn[] = [[say('One moment. '), use('text_count', { text: 'abc' })], [say('It is 3.')]];
    const model = new ScriptedModel('m', (request) =>
      request.messages.some(({ role }) => role === 'tool') ? (script[1] as Turn) : (script[0] as Turn),
    );
    await server.start([model], [count]);
    const { port } = new URL(server.hive.url);
    const post = async (path: string, body: object, headers = {}) =>
      (
        await call(Number(port), {
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        })
      ).text;
    const whole = 'One moment. It is 3.';
    const messages = [{ role: 'user', content: 'Hi' }];
    expect(JSON.parse(await post('/chat', { content: 'Hi', user_id: 'u' })).response).toBe(whole);
    expect(
      JSON.parse(await post('/v1/chat/completions', { model: 'queen', messages })).choices[0],
    ).toMatchObject({
      message: { content: whole },
      finish_reason: 'stop',
    });
    const streamed = await post('/v1/chat/completions', { model: 'queen', messages, stream: true });
    const deltas = streamed
      .split('\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta ?? {});
    expect(deltas.map(({ content = '' }) => content).join('')).toBe(whole);
    expect(streamed).not.toContain('tool_calls');
    const events = await post(
      '/chat/stream',
      { content: 'Hi', user_id: 'u' },
      { accept: 'application/x-ndjson' },
    );
    expect(
      textOf(
        events
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ),
    ).toBe(whole);
    expect(events).toContain('"executor":"server"');
  });

  it('is not run where the model calls a tool of a client as well that does not answer in this request', async () => {
    const model = new ScriptedModel('m', [[use('text_count', { text: 'a' }), use('theirs', { a: 1 }, 'c9')]]);
    await server.start([model], [count]);
    const { port } = new URL(server.hive.url);
    const { text: body } = await call(Number(port), {
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'queen',
        messages: [{ role: 'user', content: 'Hi' }],
        tools: [{ type: 'function', function: { name: 'theirs', parameters: { type: 'object' } } }],
      }),
    });
    const [choice] = JSON.parse(body).choices;
    expect(choice).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ id: 'c9', function: { name: 'theirs', arguments: '{"a":1}' } }] },
    });
    expect(choice.message.tool_calls).toHaveLength(1);
    expect(server.hive.tasks.countsOf('text:count')?.submitted).toBe(0);
  });
});

describe('a tool of the client, over a WebSocket', () => {
  const tools = [{ name: 'where', parameters: { type: 'object' } }];

  it('is answered in the same stream, together with one of the server', async () => {
    const model = new ScriptedModel('m', [
      [say('Where? '), use('where', {}, 'c1'), use('text_count', { text: 'ab' }, 'c2')],
      [say('In Oslo.')],
    ]);
    await server.start([model], [count]);
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi', conversationId: 'k', tools });
    const { streamId, executor } = await client.until(
      ({ id, type }) => id === 'c1' && type === 'streaming_tool_call',
    );
    expect(executor).toBe('client');
    client.send({ type: 'tool_result', streamId, id: 'c1', output: { place: 'Oslo' } });
    await client.end();
    client.send({ type: 'tool_result', streamId, id: 'c1', output: 1 });
    await client.until(({ code }) => code === 'TOOL_CALL_UNKNOWN');
    expect(client.frames.filter(({ id }) => id === 'c1').map(({ type, output }) => [type, output])).toEqual([
      ['streaming_tool_call', undefined],
      ['streaming_tool_result', { place: 'Oslo' }],
    ]);
    expect(textOf(client.frames)).toBe('Where? In Oslo.');
    expect(model.requests[1]?.messages.slice(-2).map(({ content }) => content)).toEqual([
      '{"place":"Oslo"}',
      '2',
    ]);
    expect((await server.stored()).map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'tool',
      'assistant',
    ]);
  });

  it('leaves tools of the server to the server, also where agents use one another', async () => {
    const inner = (request: ChatRequest, call: AgentCall) =>
      call.useTools(['text:*'], request, async function* ({ messages }) {
        const told = messages.filter(({ role }) => role === 'tool').map(({ toolName }) => toolName);
        if (told.includes('other_tool')) yield say('Ok.');
        else if (told.length > 0) yield use('other_tool', {}, 'c3');
        else yield [use('text_count', { text: 'a' }, 'c1'), use('where', {}, 'c2')];
        yield { type: 'done', reason: 'stop' };
      });
    const model = new ScriptedModel('m', async function* (request, call) {
      for await (const batch of inner(request, call))
        for (const chunk of [batch].flat()) if (chunk.type !== 'done') yield chunk;
    });
    const other = { ...count, name: 'other:tool', input: z.object({}), run: () => 'other' };
    await server.start([model], [count, other]);
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi', tools });
    const { streamId } = await client.until(({ id }) => id === 'c2');
    client.send({ type: 'tool_result', streamId, id: 'c2', output: 'here' });
    await client.end();
    const results = client.frames.filter(({ type }) => type === 'streaming_tool_result');
    expect(Object.fromEntries(results.map(({ id, output }) => [id, output]))).toEqual({
      c1: 1,
      c2: 'here',
      c3: 'other',
    });
    expect(textOf(client.frames)).toBe('Ok.');
  });

  it('works with a named agent, and without tools of the server', async () => {
    const model = new ScriptedModel('m', [[use('where', {}, 'c1')], [say('There.')]]);
    await server.start([model], [], { tools: [] });
    const client = await server.client();
    client.send({ type: 'stream_request', content: 'Hi', agent: 'm', tools });
    const { streamId } = await client.until(({ id }) => id === 'c1');
    client.send({ type: 'tool_result', streamId, id: 'c1', error: 'no idea' });
    await client.end();
    expect(outline(client.frames)).toEqual([
      'start',
      'tool_call where',
      'tool_result where TASK_FAILED',
      'token There.',
      'end',
    ]);
  });

  it('that gives no result in time is one failed result', async () => {
    const model = new ScriptedModel('m', [[use('where')], [say('Never mind.')]]);
    await server.start([model], [], { toolTimeoutMs: 30 });
    const frames = await server.ask({ tools });
    expect(frames.find(({ error }) => error)).toMatchObject({
      name: 'where',
      error: { code: 'TOOL_TIMEOUT' },
    });
    expect(textOf(frames)).toBe('Never mind.');
  });
});
