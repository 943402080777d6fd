import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Chat, type ChatRequest, chunksOf, definePlugin, Kernel, type StreamChunk } from '#kernel';
import { type Config, config } from '../../../plugins/agent-openai/config.js';
import agentOpenai from '../../../plugins/agent-openai/index.js';
import { OpenAiAgent } from '../../../plugins/agent-openai/openai-agent.js';
import { agentContract } from '../../contracts/agent.contract.js';
import type { FakeOllama, FakeOllamaOptions } from '../../support/fake-ollama/index.js';
import { startFakeOpenAi } from '../../support/fake-openai.js';
import { startHive } from '../../support/hive.js';
import { silentLogger } from '../../support/kernel.js';

const logger = pino({ level: 'silent' });
const apiKey = 'sk-very-secret';
const ask = (model?: string): ChatRequest => ({
  id: 'q',
  messages: [{ role: 'user', content: 'Hallo' }],
  ...(model && { model }),
});

async function start(options: Partial<Config> = {}, fakeOptions: FakeOllamaOptions = {}) {
  const { fake, baseUrl } = await startFakeOpenAi(fakeOptions);
  const agent = new OpenAiAgent('openai', config.parse({ baseUrl, apiKey, ...options }));
  return { fake, agent };
}

agentContract('agent-openai', async () => {
  const { fake, agent } = await start();
  return {
    agent,
    request: ask('llama3.2'),
    slowRequest: ask('slow-tokens?ms=20&n=1000'),
    dispose: async () => {
      agent.close();
      await fake.close();
    },
  };
});

describe('agent-openai', () => {
  let fake: FakeOllama;
  let agent: OpenAiAgent;

  const restart = async (options: Partial<Config>, fakeOptions: FakeOllamaOptions = {}) => {
    agent.close();
    await fake.close();
    ({ fake, agent } = await start(options, fakeOptions));
  };
  beforeEach(async () => {
    ({ fake, agent } = await start());
  });
  afterEach(async () => {
    agent.close();
    await fake.close();
  });

  /** All chunks, and the error that the stream ended with. */
  const collect = async (
    request: ChatRequest | string | undefined,
    signal = new AbortController().signal,
    asked = agent,
  ) => {
    const chunks: StreamChunk[] = [];
    let error: unknown;
    try {
      const whole = typeof request === 'object' ? request : ask(request);
      for await (const batch of asked.generateResponseStream(whole, { signal, logger }))
        chunks.push(...chunksOf(batch));
    } catch (cause) {
      error = cause;
    }
    const join = (type: 'text' | 'thinking') =>
      chunks.map((chunk) => (chunk.type === type ? chunk.content : '')).join('');
    return { chunks, text: join('text'), thinking: join('thinking'), last: chunks.at(-1), error };
  };
  /** What a server answers that says just this. */
  const answered = async (body: string, type = 'text/event-stream') => {
    const server = createServer((request, response) => {
      request.resume();
      response.setHeader('content-type', type);
      response.end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const other = new OpenAiAgent('other', config.parse({ baseUrl: `http://127.0.0.1:${port}/v1` }));
    const result = await collect('m', undefined, other);
    other.close();
    server.close();
    await once(server, 'close');
    return result;
  };

  it.each([
    'normal',
    'bytewise',
    'bytewise?split=emoji',
    'burst',
    'no-last-newline',
    'escapes',
    'thinking',
    'done-text',
    'early-headers?t=5',
    'slow-headers?t=5',
    'odd-lines?kind=blank',
    'odd-lines?kind=crlf',
    'done-reason-only',
  ])('passes on every character of %s', async (model) => {
    const { text, thinking, last, error } = await collect(model);
    expect(error).toBeUndefined();
    expect(text).toBe(fake.expectedText(model));
    expect(thinking).toBe(model === 'thinking' ? fake.expectedThinking(model) : '');
    expect(last).toMatchObject({ type: 'done', reason: 'stop' });
  });

  it('takes an event of half a megabyte', async () => {
    const { text, error } = await collect('huge-line?bytes=500000&whole=1');
    expect(error).toBeUndefined();
    expect(text.length).toBeGreaterThan(499_000);
  });

  it('gives what came in one read as one array', async () => {
    const sizes: number[] = [];
    const { signal } = new AbortController();
    for await (const batch of agent.generateResponseStream(ask('burst?n=1000'), { signal, logger }))
      sizes.push(batch.length);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(1001);
    expect(sizes.length).toBeLessThan(100);
  });

  it('says why the model stopped, and what it used', async () => {
    expect((await collect('length')).last).toMatchObject({ type: 'done', reason: 'length' });
    const { last } = await collect('normal?n=7');
    expect(last?.type === 'done' && last.usage?.outputTokens).toBe(7);
  });

  it.each(['tool-early?calls=2', 'tool-late', 'tool-late?id=0'])(
    'puts the pieces of the tool calls of %s together',
    async (model) => {
      const { chunks, last, error } = await collect(model);
      expect(error).toBeUndefined();
      const calls = chunks.filter((chunk) => chunk.type === 'tool_call');
      expect(calls).toHaveLength(model.includes('calls=2') ? 2 : 1);
      for (const call of calls)
        expect(call).toEqual({
          type: 'tool_call',
          id: expect.stringMatching(/^call_/),
          name: 'get_weather',
          arguments: { city: 'Rome' },
        });
      expect(last).toMatchObject({ type: 'done', reason: 'tool_calls' });
    },
  );

  it.each([
    ['no-done', 'AGENT_DISCONNECTED'],
    ['no-done?k=0', 'AGENT_DISCONNECTED'],
    ['reset', 'AGENT_DISCONNECTED'],
    ['reset?mid=1', 'AGENT_DISCONNECTED'],
    ['fin-cut', 'AGENT_DISCONNECTED'],
    // By the rules of event streams what has no end does not count.
    ['half-line', 'AGENT_DISCONNECTED'],
    ['malformed', 'AGENT_PROTOCOL'],
    ['bad-utf8', 'AGENT_PROTOCOL'],
    ['odd-lines?kind=null', 'AGENT_PROTOCOL'],
    ['odd-lines?kind=array', 'AGENT_PROTOCOL'],
    ['odd-lines?kind=number', 'AGENT_PROTOCOL'],
    ['huge-line?bytes=3000000', 'AGENT_PROTOCOL'],
    ['html-200', 'AGENT_PROTOCOL'],
    ['redirect', 'AGENT_PROTOCOL'],
    ['not-http', 'AGENT_PROTOCOL'],
    ['error-line', 'AGENT_FAILED'],
    ['error-line?object=1', 'AGENT_FAILED'],
    ['error-first', 'AGENT_FAILED'],
    ['http-400', 'AGENT_FAILED'],
    ['http-404', 'AGENT_FAILED'],
    ['no-such-model', 'AGENT_FAILED'],
    ['http-502-html', 'AGENT_FAILED'],
    ['http-403-empty', 'AGENT_FAILED'],
    ['http-401-ndjson', 'AGENT_FAILED'],
    ['http-429', 'AGENT_UNAVAILABLE'],
    ['http-503', 'AGENT_UNAVAILABLE'],
  ])('reports %s as %s, once asked, with no made-up end and nothing printed', async (model, code) => {
    const { chunks, text, error } = await collect(model);
    expect(error).toMatchObject({ code });
    expect(chunks.some((chunk) => chunk.type === 'done')).toBe(false);
    expect(fake.expectedText(model).startsWith(text)).toBe(true);
    expect(String((error as Error).message)).not.toMatch(/<|127\.0\.0\.1|\bat \/|secret/);
    expect(fake.requests).toHaveLength(1);
  });

  it('keeps the tokens that came before a broken event', async () => {
    const { text } = await collect('malformed?k=3');
    expect(text).toBe(fake.expectedTokens('malformed?k=3').slice(0, 3).join(''));
  });

  it('says which model there is not, and when to try again', async () => {
    expect((await collect('no-such-model')).error).toMatchObject({ details: { model: 'no-such-model' } });
    expect((await collect('http-503?retry=7')).error).toMatchObject({ retryAfterMs: 7000 });
    expect((await collect('http-429?retry=7000')).error).toMatchObject({ retryAfterMs: 30_000 });
  });

  it.each([
    ['silent', 'until the first token'],
    ['early-headers?t=60000', 'until the first token'],
    ['stall?k=3', 'between two tokens'],
  ])('gives up on %s in time and closes its socket', async (model, phase) => {
    await restart({ firstTokenTimeoutMs: 100, tokenTimeoutMs: 100 });
    const { error } = await collect(model);
    expect(error).toMatchObject({ code: 'AGENT_TIMEOUT', details: { phase } });
    const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
    expect(record.endedBy).toBe('peer');
  });

  it('is not hurried by a reader that takes its time', async () => {
    await restart({ tokenTimeoutMs: 300 });
    const model = 'slow-tokens?ms=50&n=20';
    const { signal } = new AbortController();
    let text = '';
    let batches = 0;
    for await (const batch of agent.generateResponseStream(ask(model), { signal, logger })) {
      for (const chunk of chunksOf(batch)) if (chunk.type === 'text') text += chunk.content;
      // Longer than the model may take, and while it has more to say.
      if (++batches === 3) await new Promise((resolve) => setTimeout(resolve, 400));
    }
    expect(text).toBe(fake.expectedText(model));
  });

  it.each(['silent', 'slow-headers?t=60000', 'stall?k=2', 'endless'])(
    'closes the socket of %s before an aborted call ends',
    async (model) => {
      const abort = new AbortController();
      const asked = fake.waitFor((record) => record.mode !== undefined);
      const collected = collect(model, abort.signal);
      await asked;
      abort.abort();
      await collected;
      const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
      expect(record.endedBy).toBe('peer');
      expect(record.linesAfterClose).toBe(0);
    },
  );

  it('closes the socket when its reader leaves in the middle', async () => {
    const { signal } = new AbortController();
    for await (const _ of agent.generateResponseStream(ask('endless'), { signal, logger })) break;
    const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
    expect(record.endedBy).toBe('peer');
  });

  it('takes its connection up again for the next request', async () => {
    for (let request = 0; request < 6; request++) await collect('normal');
    expect(new Set(fake.requests.map((record) => record.connection)).size).toBeLessThanOrEqual(2);
  });

  it('asks once more when an idle connection had died, and answers', async () => {
    await collect('normal');
    const { text, error } = await collect('stale-keepalive');
    expect(error).toBeUndefined();
    expect(text).toBe(fake.expectedText('stale-keepalive'));
  });

  it('ends once after the end, whatever follows', async () => {
    for (const model of ['done-open', 'done-open?more=3', 'done-open?junk=1']) {
      const { text, error, chunks } = await collect(model);
      expect(error).toBeUndefined();
      expect(text).toBe(fake.expectedText(model));
      expect(chunks.filter((chunk) => chunk.type === 'done')).toHaveLength(1);
    }
    agent.close();
    await fake.waitForOpenSockets(0);
  });

  it('says that nothing listens', async () => {
    await fake.close();
    expect((await collect('llama3.2')).error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
    const health = await agent.health(new AbortController().signal);
    expect(health).toMatchObject({ healthy: false, detail: expect.stringContaining('baseUrl') });
    ({ fake } = await startFakeOpenAi());
  });

  it('is healthy with a model, and not without', async () => {
    const { signal } = new AbortController();
    expect(await agent.health(signal)).toMatchObject({
      healthy: true,
      models: expect.arrayContaining(['gemma2:2b']),
    });
    await restart({}, { models: [] });
    expect(await agent.health(signal)).toMatchObject({ healthy: false });
    expect((await collect(undefined)).error).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
    await restart({ model: 'm' }, { models: [] });
    expect(await agent.health(signal)).toMatchObject({ healthy: true });
  });

  it.each([
    [{ model: 'gemma2:2b' }, 'gemma2:2b'],
    [{}, 'llama3.2:latest'],
  ])('with %j it asks %s when the request names no model', async (options, model) => {
    await restart(options);
    await collect(undefined);
    await collect(undefined);
    const asked = fake.requests.filter((record) => record.path === '/v1/chat/completions');
    expect(asked.map((record) => record.model)).toEqual([model, model]);
    expect(fake.requests.length - asked.length).toBeLessThanOrEqual(1);
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
    const call = { id: 'call_1', name: 'look', arguments: { closer: true } };
    await collect({
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
    await restart({ apiKey: '' });
    await collect('llama3.2');
    expect(fake.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(Object.keys(fake.requests[0]?.body as object)).toEqual([
      'model',
      'messages',
      'stream',
      'stream_options',
    ]);
  });

  it('takes what servers make of that API', async () => {
    const choice = (more: object) => JSON.stringify({ choices: [more] });
    const event = (more: object) => `data: ${choice(more)}\n\n`;
    const said = event({ delta: { content: 'Hi' }, finish_reason: null });
    const whole = choice({ message: { content: 'Hi' }, finish_reason: 'stop' });
    expect(await answered(whole, 'application/json')).toMatchObject({ text: 'Hi', error: undefined });
    expect(await answered(`${said}data: [DONE]\n\n`)).toMatchObject({
      text: 'Hi',
      last: { type: 'done', reason: 'stop' },
    });
    expect(
      await answered(`data:${choice({ delta: { content: 'Hi' }, finish_reason: 'stop' })}\n\n`),
    ).toMatchObject({ text: 'Hi', last: { type: 'done' } });
    const reasoning = event({ delta: { content: null, reasoning: 'Hm', tool_calls: null } });
    expect(await answered(`${reasoning}${said}data: [DONE]\n\n`)).toMatchObject({
      thinking: 'Hm',
      text: 'Hi',
    });
    const call = { index: 0, id: 'a', function: { name: 'x', arguments: 'no JSON' } };
    const called = event({ delta: { tool_calls: [call] }, finish_reason: 'tool_calls' });
    expect((await answered(called)).chunks[0]).toMatchObject({ type: 'tool_call', arguments: 'no JSON' });
  });

  it.each([
    ['an error with status 200', '{"error":{"message":"out of\\nmemory"}}', 'AGENT_FAILED', 'out of memory'],
    ['text that is no JSON', 'oops', 'AGENT_PROTOCOL', 'not valid JSON'],
    ['nothing', '{}', 'AGENT_DISCONNECTED', 'end'],
    ['content that is no text', '{"choices":[{"message":{"content":5}}]}', 'AGENT_PROTOCOL', 'wrong type'],
  ])('reports %s as what it is', async (_, body, code, message) => {
    expect((await answered(body, 'application/json')).error).toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
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

    const running = front.streams.start({
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
