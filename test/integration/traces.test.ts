import { SpanStatusCode } from '@opentelemetry/api';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BaseAgent, definePlugin, type EventBus } from '#kernel';
import agentOpenai from '../../plugins/agent-openai/index.js';
import endpointMetrics from '../../plugins/endpoint-metrics/index.js';
import traceOtel from '../../plugins/trace-otel/index.js';
import { ScriptedAgent } from '../support/agents.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { startFakeOpenAi } from '../support/fake-openai.js';
import { type Hive, startHive } from '../support/hive.js';
import { leakCheck } from '../support/leaks.js';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
import { begin, finish, kindOf, recordSpans } from '../support/spans.js';
import { WsClient } from '../support/ws-client.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

let fake: FakeOllama;
let spans: ReturnType<typeof recordSpans>;

beforeAll(async () => {
  fake = await startFakeOllama();
  spans = recordSpans();
});

afterEach(() => spans.clear());

afterAll(async () => {
  spans.unregister();
  await fake.close();
});

const start = (config: object = {}) => startHive({ fake, plugins: [traceOtel], config: { ...config } });

async function ask(hive: Hive, frame: object): Promise<void> {
  const client = await WsClient.connect(`${hive.ws}/test`);
  await client.ask({ content: 'a secret', ...frame });
  await client.close();
}

const post = (hive: Hive, path: string, body: object, headers: object = {}) =>
  fetch(`${hive.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

/** The trace that reached the model server with the last question. */
const sentAlong = () => chats().at(-1)?.headers.traceparent;

const chats = () => fake.requests.filter(({ path }) => path === '/api/chat');

describe('a trace', () => {
  it('of a chat over a WebSocket is the request, its wait, the agent, and the model server', async () => {
    const hive = await start();
    await ask(hive, { model: 'normal?n=3', conversationId: 'c' });
    await hive.close();
    const model = 'chat normal?n=3';
    expect(spans.trees).toEqual([
      ['waggle.request', '  waggle.queue', '  invoke_agent ollama', `    ${model}`].join('\n'),
    ]);
    const [request, queue, agent, upstream] = [
      'waggle.request',
      'waggle.queue',
      'invoke_agent ollama',
      model,
    ].map((name) => spans.span(name)) as [Span, Span, Span, Span];
    expect([request, queue, agent, upstream].map(kindOf)).toEqual([
      'SERVER',
      'INTERNAL',
      'INTERNAL',
      'CLIENT',
    ]);
    for (const span of [queue, agent, upstream]) {
      expect(begin(span)).toBeGreaterThanOrEqual(begin(request));
      expect(finish(span)).toBeLessThanOrEqual(finish(request));
    }
    expect(request.attributes).toEqual({
      'gen_ai.conversation.id': 'c',
      'waggle.stream': expect.stringMatching(/^.{6}$/),
    });
    expect(agent.attributes).toEqual({
      'gen_ai.conversation.id': 'c',
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.name': 'ollama',
      'gen_ai.provider.name': 'ollama',
      'gen_ai.request.model': 'normal?n=3',
    });
    expect(upstream.attributes).toEqual({
      'gen_ai.conversation.id': 'c',
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'ollama',
      'gen_ai.request.model': 'normal?n=3',
      'gen_ai.response.model': 'normal?n=3',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': expect.any(Number),
      'gen_ai.usage.output_tokens': expect.any(Number),
    });
    const { traceId: id, spanId } = upstream.spanContext();
    expect(sentAlong()).toBe(`00-${id}-${spanId}-01`);
  });

  it('holds nothing that was said', async () => {
    const hive = await start();
    await ask(hive, { model: 'normal?n=3' });
    await ask(hive, { model: 'http-400' });
    await hive.close();
    const held = spans.ended.map(({ name, attributes, events, status }) => ({
      name,
      attributes,
      events,
      status,
    }));
    expect(JSON.stringify(held)).not.toMatch(/secret/);
    expect(spans.ended.flatMap(({ events }) => events)).toEqual([]);
  });

  it.each([
    ['/chat', { content: 'Hallo', user_id: 'u', model: 'normal?n=3' }],
    ['/chat/stream', { content: 'Hallo', user_id: 'u', model: 'normal?n=3' }],
    [
      '/v1/chat/completions',
      { model: 'ollama/normal?n=3', messages: [{ role: 'user', content: 'Hallo' }], stream: true },
    ],
  ])('of POST %s goes on with the trace of its client', async (path, body) => {
    const hive = await start();
    const answer = await post(hive, path, body, { traceparent });
    expect(answer.status).toBe(200);
    await answer.text();
    await hive.close();
    expect(spans.trees).toEqual([
      ['waggle.request', '  waggle.queue', '  invoke_agent ollama', '    chat normal?n=3'].join('\n'),
    ]);
    expect(new Set(spans.ended.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
    expect(spans.span('waggle.request').parentSpanContext?.spanId).toBe('b7ad6b7169203331');
    const { spanId } = spans.span('chat normal?n=3').spanContext();
    expect(sentAlong()).toBe(`00-${traceId}-${spanId}-01`);
  });

  describe.each([
    ['/chat', { content: 'Hallo', user_id: 'u', model: 'normal?n=3' }],
    ['/chat/stream', { content: 'Hallo', user_id: 'u', model: 'normal?n=3' }],
    [
      '/v1/chat/completions',
      { model: 'ollama/normal?n=3', messages: [{ role: 'user', content: 'Hallo' }], stream: true },
    ],
    ['/v1/completions', { model: 'ollama/normal?n=3', prompt: 'Hallo' }],
  ])('with POST %s brings along', (path, body) => {
    const state = 'vendor=t61rcWkgMzE,other=00f067aa0ba902b7';
    const notes = 'tenant=acme,user.id=a%20b';

    it.each<[what: string, headers: object, sent: object]>([
      ['its state', { traceparent, tracestate: state }, { tracestate: state }],
      ['its baggage', { traceparent, baggage: notes }, { baggage: notes }],
      ['baggage without a trace', { baggage: notes }, { baggage: notes }],
      [
        'both for a trace that is not recorded',
        { traceparent: traceparent.replace(/01$/, '00'), tracestate: state, baggage: notes },
        { tracestate: state, baggage: notes },
      ],
      ['no state without a trace', { tracestate: state }, { tracestate: undefined }],
      ['nothing for baggage that is none', { traceparent, baggage: ';;=' }, { baggage: undefined }],
    ])('%s', async (_, headers, sent) => {
      const hive = await start();
      const answer = await post(hive, path, body, headers);
      expect(answer.status).toBe(200);
      await answer.text();
      await hive.close();
      const { tracestate, baggage } = chats().at(-1)?.headers ?? {};
      expect({ tracestate, baggage }).toMatchObject(sent);
    });
  });

  it('that the client does not want recorded is not, and goes on to the model server', async () => {
    const hive = await start();
    const headers = { traceparent: traceparent.replace(/01$/, '00') };
    await (await post(hive, '/chat', { content: 'x', user_id: 'u', model: 'normal?n=3' }, headers)).text();
    await hive.close();
    expect(spans.ended).toEqual([]);
    expect(sentAlong()).toMatch(new RegExp(`^00-${traceId}-[\\da-f]{16}-00$`));
  });

  it.each(['', 'nonsense', `${traceparent}-x`.replace('00-', 'ff-')])(
    'begins anew where the client sends %j',
    async (header) => {
      const hive = await start();
      const body = { content: 'Hallo', user_id: 'u', model: 'normal?n=3' };
      expect((await post(hive, '/chat', body, { traceparent: header })).status).toBe(200);
      await hive.close();
      expect(spans.span('waggle.request').parentSpanContext).toBeUndefined();
    },
  );

  it('reaches a server that speaks the API of OpenAI', async () => {
    const { fake: other, baseUrl } = await startFakeOpenAi();
    const hive = await startHive({ plugins: [traceOtel] });
    await hive.kernel.load(agentOpenai, { config: { baseUrl, model: 'normal?n=3' } });
    await ask(hive, { agent: 'openai' });
    await hive.close();
    const name = 'chat normal?n=3';
    expect(spans.span(name).attributes).toMatchObject({ 'gen_ai.provider.name': 'openai' });
    const { traceId: id, spanId } = spans.span(name).spanContext();
    const chat = other.requests.find(({ path }) => path === '/v1/chat/completions');
    expect(chat?.headers.traceparent).toBe(`00-${id}-${spanId}-01`);
    await other.close();
  });

  it('shows a failure with its code at each span that it ends', async () => {
    const hive = await start();
    await ask(hive, { agent: 'ollama', model: 'http-400' });
    await hive.close();
    const failed = spans.ended.filter(({ name }) => name !== 'waggle.queue');
    expect(failed.map(({ name }) => name)).toEqual([
      'chat http-400',
      'invoke_agent ollama',
      'waggle.request',
    ]);
    for (const { attributes, status } of failed) {
      expect(attributes['error.type']).toBe('AGENT_FAILED');
      expect(status).toEqual({ code: SpanStatusCode.ERROR });
    }
    expect(spans.open).toEqual([]);
  });

  it('shows both agents where the second one took over', async () => {
    const spare = definePlugin({
      name: 'agent-spare',
      apiVersion: 1,
      setup: (ctx) => void ctx.addAgent(new ScriptedAgent('spare')),
    });
    const config = { 'agent-queen': { candidates: ['ollama', 'spare'] } };
    const hive = await startHive({ fake, plugins: [traceOtel, spare], config });
    await ask(hive, { model: 'http-400' });
    await hive.close();
    expect(spans.trees).toEqual([
      [
        'waggle.request',
        '  waggle.queue',
        '  invoke_agent ollama',
        '    chat http-400',
        '  invoke_agent spare',
      ].join('\n'),
    ]);
    expect(spans.span('invoke_agent ollama').status.code).toBe(SpanStatusCode.ERROR);
    expect(spans.span('waggle.request').status.code).toBe(SpanStatusCode.UNSET);
    expect(spans.span('invoke_agent spare').attributes).toMatchObject({
      'waggle.fallback': true,
      'gen_ai.response.finish_reasons': ['stop'],
    });
  });

  it('shows the tools that a model calls, and the agents that others ask at the same time', async () => {
    const actors = definePlugin({
      name: 'actors',
      apiVersion: 1,
      setup(ctx) {
        const input = z.object({});
        ctx.registerTask({ name: 'letters:count', lane: 'main', tool: true, input, run: () => 1 });
        const turns = [
          [
            use('letters_count'),
            use('consult_one', { question: 'a' }),
            use('consult_two', { question: 'b' }),
            use('made_up'),
          ],
          [say('Done.')],
        ];
        ctx.addAgent(new ScriptedModel('boss', turns));
        for (const name of ['one', 'two']) ctx.addAgent(new ScriptedModel(name, [[say(name)]]));
      },
    });
    const config = { 'agent-queen': { candidates: ['boss'], tools: ['*'], delegates: ['one', 'two'] } };
    const hive = await startHive({ plugins: [traceOtel, endpointMetrics, actors], config });
    await ask(hive, {});
    const metrics = await (await fetch(`${hive.url}/metrics`)).text();
    await hive.close();
    const [tree = ''] = spans.trees;
    expect(tree.split('\n').sort()).toEqual(
      [
        'waggle.request',
        '  waggle.queue',
        '  invoke_agent boss',
        '    execute_tool letters:count',
        '    execute_tool consult_one',
        '    execute_tool consult_two',
        '    execute_tool made_up',
        '    invoke_agent one',
        '    invoke_agent two',
      ].sort(),
    );
    expect(spans.span('execute_tool made_up').attributes).toMatchObject({ 'error.type': 'TASK_UNKNOWN' });
    expect(spans.open).toEqual([]);
    expect(metrics).toContain('waggle_tool_calls_total{tool="letters:count",outcome="succeeded"} 1');
    expect(metrics).toContain('waggle_tool_calls_total{tool="consult_one",outcome="succeeded"} 1');
    expect(metrics).not.toContain('made_up');
  });

  it('of a cancel says so, and is no error', async () => {
    const hive = await start();
    const client = await WsClient.connect(`${hive.ws}/test`);
    client.send({ type: 'stream_request', content: 'x', model: 'stall?k=1' });
    const { streamId } = await client.until(({ type }) => type === 'streaming_token');
    client.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
    await client.close();
    await hive.close();
    const { attributes, status } = spans.span('waggle.request');
    expect(attributes).toMatchObject({ 'waggle.cancelled': 'client' });
    expect(status.code).toBe(SpanStatusCode.UNSET);
    for (const name of ['invoke_agent ollama', 'chat stall?k=1'])
      expect(spans.span(name).attributes).toMatchObject({ 'waggle.cancelled': 'stopped' });
    expect(spans.open).toEqual([]);
  });

  it('of a request that waited has a wait as long, also where it never got its turn', async () => {
    const hive = await start({ 'streams-memory': { maxRunning: 1 } });
    const client = await WsClient.connect(`${hive.ws}/test`);
    client.send({ type: 'stream_request', content: 'x', model: 'stall?k=1', requestId: 'a' });
    const first = await client.until(({ type }) => type === 'streaming_token');
    client.send({ type: 'stream_request', content: 'x', model: 'stall?k=1', requestId: 'b' });
    const { streamId } = await client.until(({ type }) => type === 'queue_update');
    client.send({ type: 'cancel', streamId });
    await client.until((frame) => frame.type === 'cancelled' && frame.streamId === streamId);
    expect(spans.trees).toEqual([['waggle.request', '  waggle.queue'].join('\n')]);
    const [request, queue] = [spans.span('waggle.request'), spans.span('waggle.queue')];
    expect(finish(queue) - begin(queue)).toBeGreaterThan((finish(request) - begin(request)) / 2);
    client.send({ type: 'cancel', streamId: first.streamId });
    await client.until((frame) => frame.type === 'cancelled' && frame.streamId === first.streamId);
    await client.close();
    await hive.close();
    expect(spans.open).toEqual([]);
  });

  it('has no open span when its request has ended, whatever was announced of its agents and whatever still is', async () => {
    let bus: EventBus | undefined;
    const teller = definePlugin({
      name: 'teller',
      apiVersion: 1,
      setup: (ctx) => {
        bus = ctx.bus;
      },
    });
    const hive = await startHive({ plugins: [traceOtel, teller] });
    const about = { streamId: 'of-this-test', userId: 'u', conversationId: 'c' };
    const asked = (agent: string) => {
      const headers: Record<string, string> = {};
      bus?.emit('agent:asked', { ...about, agent, provider: 'p', fallback: false, headers });
      return headers;
    };
    bus?.emit('chat:accepted', about);
    for (const agent of ['a', 'b']) expect(asked(agent)).toHaveProperty('traceparent');
    expect(spans.open).toEqual(['waggle.request', 'invoke_agent b', 'chat']);
    const timings = { queuedMs: 0, totalMs: 1 };
    bus?.emit('chat:failed', { ...about, code: 'INTERNAL', error: new Error('x'), timings });
    expect(asked('c')).toEqual({});
    expect(spans.open).toEqual([]);
    await hive.close();
  });

  it('ends with the plugin, whatever still runs, and with an agent that never stops', async () => {
    const leaks = leakCheck();
    const hive = await startHive({
      fake,
      plugins: [traceOtel, deaf],
      config: { 'streams-memory': { cancelTimeoutMs: 10 } },
    });
    const client = await WsClient.connect(`${hive.ws}/test`);
    client.send({ type: 'stream_request', content: 'x', agent: 'deaf' });
    const { streamId } = await client.until(({ type }) => type === 'streaming_token');
    client.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
    expect(spans.open).toEqual([]);
    client.send({ type: 'stream_request', content: 'x', model: 'stall?k=1', requestId: 'b' });
    await client.until(({ type, agent }) => type === 'streaming_start' && agent === 'ollama');
    expect(spans.open).toHaveLength(3);
    await hive.kernel.reload(traceOtel);
    expect(spans.open).toEqual([]);
    await ask(hive, { model: 'normal?n=3' });
    expect(spans.trees.at(-1)).toMatch(/^waggle.request\n/);
    await client.close();
    await hive.stop();
    expect(spans.open).toEqual([]);
    await leaks.settled();
  });
});

describe('without an SDK', () => {
  it('nothing is traced, nothing is sent along, and nothing is kept', async () => {
    spans.unregister();
    const hive = await start();
    const body = { content: 'x', user_id: 'u', model: 'normal?n=3' };
    await (await post(hive, '/chat', body, { traceparent })).text();
    await hive.close();
    expect(spans.ended).toEqual([]);
    expect(sentAlong()).toBeUndefined();
    spans = recordSpans();
  });
});

type Span = ReturnType<ReturnType<typeof recordSpans>['span']>;

/** Hears of no cancel. */
class Deaf extends BaseAgent {
  readonly name = 'deaf';

  async *generateResponseStream() {
    yield { type: 'text', content: 'x' } as const;
    await new Promise<never>(() => {});
  }
}

const deaf = definePlugin({
  name: 'agent-deaf',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new Deaf()),
});
