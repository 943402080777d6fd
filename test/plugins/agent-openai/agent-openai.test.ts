import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Chat, definePlugin } from '#kernel';
import { Kernel } from '../../../kernel/kernel.js';
import { type Config, config } from '../../../plugins/agent-openai/config.js';
import agentOpenai from '../../../plugins/agent-openai/index.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { upstreamAgentContract } from '../../contracts/upstream-agent.contract.js';
import type { FakeOllama, FakeOllamaOptions } from '../../support/fake-ollama/index.js';
import { startFakeOpenAi } from '../../support/fake-openai.js';
import { startHive } from '../../support/hive.js';
import { startHttpServer } from '../../support/http-server.js';
import { silentLogger } from '../../support/kernel.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const apiKey = 'sk-very-secret';

upstreamAgentContract('agent-openai', {
  create: (url, options) =>
    new OpenAiAgent('openai', config.parse({ baseUrl: `${url}/v1`, apiKey, ...options })),
  chatPath: '/v1/chat/completions',
  listPath: '/v1/models',
  advice: 'baseUrl',
  noModel: 'set model',
  alsoWhole: ['done-reason-only'],
  // By the rules of event streams what has no end does not count.
  alsoFailing: [['half-line', 'AGENT_DISCONNECTED']],
  answer: 'data: {"choices":[{"delta":{"content":"whole"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
});

describe('agent-openai', () => {
  let fake: FakeOllama;
  let agent: OpenAiAgent;

  const start = async (options: Partial<Config> = {}, fakeOptions: FakeOllamaOptions = {}) => {
    const { fake: started, baseUrl } = await startFakeOpenAi(fakeOptions);
    fake = started;
    agent = new OpenAiAgent('openai', config.parse({ baseUrl, apiKey, ...options }));
  };
  const stop = async () => {
    agent.close();
    await fake.close();
  };
  beforeEach(() => start());
  afterEach(stop);

  /** What a server answers that says just this. */
  const answered = async (body: string, type = 'text/event-stream') => {
    const server = await startHttpServer((request, response) => {
      request.resume();
      response.setHeader('content-type', type);
      response.end(body);
    });
    const other = new OpenAiAgent('other', config.parse({ baseUrl: `${server.url}/v1` }));
    const result = await wholeAnswer(other, hello('m'));
    other.close();
    await server.close();
    return result;
  };

  it('says when to try again', async () => {
    const errorOf = async (model: string) => (await wholeAnswer(agent, hello(model))).error;
    expect(await errorOf('http-503?retry=7')).toMatchObject({ retryAfterMs: 7000 });
    expect(await errorOf('http-429?retry=7000')).toMatchObject({ retryAfterMs: 30_000 });
  });

  it('is healthy without a list where a model is configured', async () => {
    await stop();
    await start({ model: 'm' }, { models: [] });
    expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: true });
  });

  it('sends everything by its name there, and its key to nobody else', async () => {
    const tool = { name: 'look', description: 'Looks', parameters: { type: 'object' } };
    const image = 'data:image/png;base64,iVBORw0KGgo=';
    const options = {
      temperature: 0.5,
      topP: 0.9,
      maxTokens: 3,
      seed: 4,
      stop: ['x'],
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      reasoningEffort: 'high' as const,
      format: { type: 'object' },
      tools: [tool],
      toolChoice: { name: 'look' },
    };
    const call = { id: 'call_1', name: 'look', arguments: '{"closer":true}' };
    await wholeAnswer(agent, {
      id: 'q',
      model: 'llama3.2',
      options,
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'What is this?', images: [image] },
        { role: 'assistant', content: '', toolCalls: [call] },
        { role: 'tool', content: 'a bee', toolCallId: 'call_1', toolName: 'look' },
      ],
    });
    const [record] = fake.requests;
    expect(record?.headers.authorization).toBe(`Bearer ${apiKey}`);
    expect(record?.body).toEqual({
      model: 'llama3.2',
      stream: true,
      stream_options: { include_usage: true },
      messages: [
        { role: 'system', content: 'Be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: image } },
          ],
        },
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"closer":true}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'a bee' },
      ],
      temperature: 0.5,
      top_p: 0.9,
      max_tokens: 3,
      seed: 4,
      stop: ['x'],
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      reasoning_effort: 'high',
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } },
      tools: [{ type: 'function', function: tool }],
      tool_choice: { type: 'function', function: { name: 'look' } },
    });
    await stop();
    await start({ apiKey: '' });
    await wholeAnswer(agent, hello('llama3.2'));
    expect(fake.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(Object.keys(fake.requests[0]?.body as object)).toEqual([
      'model',
      'messages',
      'stream',
      'stream_options',
    ]);
  });

  const calls = (...pieces: readonly object[]) =>
    pieces
      .map((piece) => `data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [piece] } }] })}\n\n`)
      .join('');
  const part = 'x'.repeat(500_000);

  it.each<[what: string, body: string]>([
    [
      'arguments in pieces',
      calls(...[1, 2, 3].map(() => ({ index: 0, function: { name: 'look', arguments: part } }))),
    ],
    [
      'arguments of several calls',
      calls(...[1, 2, 3].map((index) => ({ index, function: { name: 'look', arguments: part } }))),
    ],
    [
      'arguments as objects',
      calls(...[1, 2, 3].map((index) => ({ index, function: { arguments: { part } } }))),
    ],
    ['names', calls(...[1, 2, 3].map((index) => ({ index, function: { name: part } })))],
    ['ids', calls(...[1, 2, 3].map((index) => ({ index, id: part })))],
    ['calls that say nothing', calls(...Array.from({ length: 20_000 }, (_, index) => ({ index })))],
  ])('ends an answer whose tool calls have no end: %s', async (_, body) => {
    const { error, chunks } = await answered(`${body}data: [DONE]\n\n`);
    expect(error).toMatchObject({ code: 'AGENT_PROTOCOL', message: expect.stringContaining('tool calls') });
    expect(chunks.filter(({ type }) => type !== 'tool_call_piece')).toEqual([]);
  });

  it('reports a tool call without a name, also when the end comes right after it', async () => {
    const called = { delta: { tool_calls: [{ id: 'a', function: {} }] }, finish_reason: 'tool_calls' };
    const { error } = await answered(`data: ${JSON.stringify({ choices: [called] })}\n\ndata: [DONE]\n\n`);
    expect(error).toMatchObject({ code: 'AGENT_PROTOCOL', message: expect.stringContaining('no name') });
  });

  it.each(['http://user:secret@localhost/v1', 'ftp://localhost', 'http://', 'localhost'])(
    'refuses the base URL %s without printing it',
    (baseUrl) => {
      const { error } = config.safeParse({ baseUrl });
      expect(error).toBeDefined();
      expect(JSON.stringify(error?.issues)).not.toContain('secret');
    },
  );

  it('refuses a key that no header may hold without printing it', () => {
    const { error } = config.safeParse({ apiKey: 'secret\nkey' });
    expect(JSON.stringify(error?.issues)).not.toContain('secret');
    expect(error).toBeDefined();
  });
});

describe('several of them', () => {
  it('are named by their instances, or as the config says', async () => {
    const { fake, baseUrl } = await startFakeOpenAi();
    const names: string[] = [];
    const seen = definePlugin({
      name: 'seen',
      apiVersion: 1,
      setup: (ctx) => void ctx.onReady(() => void names.push(...[...ctx.agents].map(({ name }) => name))),
    });
    const kernel = new Kernel({ logger: silentLogger })
      .use(agentOpenai, { id: 'agent-vllm', config: { baseUrl } })
      .use(agentOpenai, { id: 'lm-studio', config: { baseUrl } })
      .use(agentOpenai, { config: { baseUrl, name: 'cloud' } })
      .use(seen);
    await kernel.start();
    expect(names).toEqual(['vllm', 'lm-studio', 'cloud']);
    await kernel.stop();
    await fake.close();
  });
});

describe('one server in front of another', () => {
  it('passes everything on: text, thinking, tools, failures, and the end of interest', async () => {
    const { fake } = await startFakeOpenAi();
    const back = await startHive({ fake });
    const front = await startHive({ plugins: [] });
    await front.kernel.load(agentOpenai, { id: 'agent-back', config: { baseUrl: `${back.url}/v1` } });
    const reply = async (model: string, more: object = {}) => {
      const body = { model, messages: [{ role: 'user', content: 'Hallo' }], ...more };
      const answer = await fetch(`${front.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      // biome-ignore lint/suspicious/noExplicitAny: a test looks into bodies freely
      return (await answer.json()) as any;
    };

    const [said] = (await reply('back/ollama/normal')).choices;
    expect(said.message.content).toBe(fake.expectedText('normal'));
    const [thought] = (await reply('back/ollama/thinking')).choices;
    expect(thought.message).toMatchObject({
      content: fake.expectedText('thinking'),
      reasoning_content: fake.expectedThinking('thinking'),
    });
    const [called] = (await reply('back/ollama/tool-late')).choices;
    expect(called).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'get_weather', arguments: '{"city":"Rome"}' } }] },
    });
    expect((await reply('back/ollama/normal?n=3')).usage.completion_tokens).toBe(3);
    expect((await reply('back/nobody')).error).toMatchObject({ code: 'model_not_found', param: 'model' });
    expect((await reply('back/ollama/fin-cut?k=2')).error).toMatchObject({ code: 'agent_failed' });

    const statuses = await front.kernel.get(Chat).statuses();
    expect(statuses.find(({ name }) => name === 'back')?.models).toContain('ollama/llama3.2');
    const { data } = (await (await fetch(`${front.url}/v1/models`)).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toContain('back/ollama/llama3.2');

    const running = await front.streams.start({
      content: 'Hallo',
      userId: 'u',
      agent: 'back',
      model: 'ollama/endless?ms=1',
    });
    await fake.waitFor((record) => record.model === 'endless?ms=1' && record.lines > 3);
    await running.cancel('client');
    const record = await fake.waitFor(
      (each) => each.model === 'endless?ms=1' && each.atMs.peerClosed !== undefined,
    );
    expect(record.endedBy).toBe('peer');
    await front.stop();
    await back.close();
    await fake.close();
  });
});
