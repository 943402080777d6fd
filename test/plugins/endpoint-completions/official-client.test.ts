import { createServer, type IncomingHttpHeaders } from 'node:http';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ConversationStore, definePlugin } from '#kernel';
import { ScriptedAgent, type Step, text } from '../../support/agents.js';
import { type FakeOllama, startFakeOllama } from '../../support/fake-ollama/index.js';
import { type Hive, startHive } from '../../support/hive.js';

const messages = [{ role: 'user' as const, content: 'Hallo' }];
const tools = [
  {
    type: 'function' as const,
    function: {
      name: 'get_weather',
      description: 'The weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
    },
  },
];

let fake: FakeOllama;
let hive: Hive;
let client: OpenAI;
const broken = new ScriptedAgent('broken', [new Error('secret detail of the agent')]);

beforeAll(async () => {
  fake = await startFakeOllama();
  hive = await startHive({
    fake,
    config: { 'agent-queen': { busyTimeoutMs: 0 } },
    plugins: [definePlugin({ name: 'broken', apiVersion: 1, setup: (ctx) => void ctx.addAgent(broken) })],
  });
  client = new OpenAI({ baseURL: `${hive.url}/v1`, apiKey: 'any' });
});
afterAll(async () => {
  await hive.close();
  await fake.close();
});

const chats = (model: string) =>
  fake.requests.filter((record) => record.path === '/api/chat' && record.model === model);

/** What a promise was rejected with. */
async function failure(promise: PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  try {
    await promise;
  } catch (error) {
    return error as InstanceType<typeof OpenAI.APIError>;
  }
  throw new Error('expected a failure');
}

/** Everything of a raw stream. */
async function chunksOf(model: string, more: object = {}) {
  const stream = await client.chat.completions.create({ model, messages, stream: true, ...more });
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const deltasOf = (chunks: readonly OpenAI.ChatCompletionChunk[]) =>
  chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta as Record<string, unknown>));
const textOf = (chunks: readonly OpenAI.ChatCompletionChunk[]) =>
  deltasOf(chunks)
    .map(({ content }) => content ?? '')
    .join('');

describe('the official client', () => {
  it('lists every agent, and the models of those that have some', async () => {
    const { data } = await client.models.list();
    const ids = data.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(['queen', 'ollama', 'ollama/llama3.2', 'eliza', 'broken']));
    expect(new Set(ids).size).toBe(ids.length);
    expect(data[0]).toMatchObject({ object: 'model', owned_by: 'waggle', created: expect.any(Number) });
  });

  it.each(['queen', 'ollama', 'ollama/llama3.2', 'ollama/gemma2:2b'])('retrieves %s', async (id) => {
    expect(await client.models.retrieve(id)).toMatchObject({ id, object: 'model' });
  });

  it.each(['nobody', 'ollama/nosuch', 'ollama/', 'nobody/llama3.2', 'eliza/x'])(
    'retrieves no %s',
    async (id) => {
      const error = await failure(client.models.retrieve(id));
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    },
  );

  it('streams every character', async () => {
    const chunks = await chunksOf('ollama/normal');
    expect(textOf(chunks)).toBe(fake.expectedText('normal'));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.some((chunk) => chunk.usage)).toBe(false);
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
  });

  it('streams an answer of the central agent, who falls back before the first token', async () => {
    const chunks = await chunksOf('queen', { messages: [{ role: 'user', content: 'Hello' }] });
    expect(textOf(chunks)).toBe(fake.expectedText('normal'));
    expect(new Set(chunks.map(({ model }) => model))).toEqual(new Set(['queen/ollama']));
    // What an answer calls itself can be asked for.
    expect(textOf(await chunksOf('queen/ollama'))).toBe(fake.expectedText('normal'));
  });

  it('has .stream(), which puts an answer together', async () => {
    const stream = client.chat.completions.stream({
      model: 'ollama/normal',
      messages,
      stream_options: { include_usage: true },
    });
    const completion = await stream.finalChatCompletion();
    expect(completion.choices[0]?.message.content).toBe(fake.expectedText('normal'));
    expect(completion.usage?.completion_tokens).toBeGreaterThan(0);
  });

  it('gets a whole answer', async () => {
    const completion = await client.chat.completions.create({ model: 'ollama/normal?n=7', messages });
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'ollama/normal?n=7',
      choices: [
        {
          index: 0,
          finish_reason: 'stop',
          message: { role: 'assistant', content: fake.expectedText('normal?n=7') },
        },
      ],
      usage: { completion_tokens: 7, prompt_tokens: 2, total_tokens: 9 },
    });
    expect(completion._request_id).toBeTruthy();
  });

  it('gets the usage of a stream, last and only when it asks for it', async () => {
    const chunks = await chunksOf('ollama/normal?n=3', { stream_options: { include_usage: true } });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(chunks.filter((chunk) => chunk.usage)).toHaveLength(1);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
  });

  it('learns that an answer was cut off for its length', async () => {
    const completion = await client.chat.completions.create({ model: 'ollama/length', messages });
    expect(completion.choices[0]?.finish_reason).toBe('length');
    expect((await chunksOf('ollama/length')).at(-1)?.choices[0]?.finish_reason).toBe('length');
  });

  it('gets what a model thinks, whole and in pieces', async () => {
    const completion = await client.chat.completions.create({ model: 'ollama/thinking', messages });
    expect(completion.choices[0]?.message).toMatchObject({
      content: fake.expectedText('thinking'),
      reasoning_content: fake.expectedThinking('thinking'),
    });
    const deltas = deltasOf(await chunksOf('ollama/thinking'));
    expect(deltas.map((delta) => delta.reasoning_content ?? '').join('')).toBe(
      fake.expectedThinking('thinking'),
    );
    expect(deltas.some((delta) => 'reasoning' in delta)).toBe(false);
  });

  it.each(['tool-early', 'tool-late', 'tool-late?id=0'])('gets the tool calls of %s', async (mode) => {
    const model = `ollama/${mode}`;
    const whole = await client.chat.completions.create({ model, messages, tools });
    const expected = {
      id: expect.stringMatching(/^call_/),
      type: 'function',
      function: { name: 'get_weather', arguments: expect.stringMatching(/^\{"city":/) },
    };
    expect(whole.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: expect.arrayContaining([expected]) },
    });

    const streamed = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    expect(streamed.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: expect.arrayContaining([expected]) },
    });
  });

  it('has the older text completions', async () => {
    const model = 'ollama/normal?n=4';
    const whole = await client.completions.create({ model, prompt: 'Once' });
    expect(whole).toMatchObject({
      object: 'text_completion',
      choices: [{ text: fake.expectedText('normal?n=4'), finish_reason: 'stop' }],
      usage: { completion_tokens: 4 },
    });
    let text = '';
    for await (const chunk of await client.completions.create({ model, prompt: ['Once'], stream: true }))
      text += chunk.choices[0]?.text ?? '';
    expect(text).toBe(fake.expectedText('normal?n=4'));
  });
});

describe('the end of an answer', () => {
  const call = { type: 'tool_call', id: 'c1', name: 'get_weather', arguments: '{}' } as const;
  const used = { inputTokens: 11, outputTokens: 7 };
  const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
  const failing = new ScriptedAgent('failing', [new Error('no')]);
  const answering = new ScriptedAgent('answering');
  let ends: Hive;
  let asks: OpenAI;

  beforeAll(async () => {
    ends = await startHive({
      plugins: [failing, answering].map((agent) =>
        definePlugin({ name: agent.name, apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) }),
      ),
      config: { 'agent-queen': { candidates: ['failing', 'answering'] } },
    });
    asks = new OpenAI({ baseURL: `${ends.url}/v1`, apiKey: 'any' });
  });
  afterAll(() => ends.close());

  /** Reason and usage of the same answer: whole, and as a stream. */
  const endsOf = async (model: string) => {
    const whole = await asks.chat.completions.create({ model, messages });
    const stream_options = { include_usage: true };
    const stream = await asks.chat.completions.create({ model, messages, stream: true, stream_options });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const reasons = chunks.flatMap(({ choices }) => choices.flatMap((choice) => choice.finish_reason ?? []));
    return [
      [whole.choices.map((choice) => choice.finish_reason), whole.usage],
      [reasons, chunks.at(-1)?.usage],
    ];
  };

  it.each<[string, readonly Step[], string]>([
    ['stop', [], 'stop'],
    ['length', [], 'length'],
    ['content_filter', [], 'content_filter'],
    ['load', [], 'stop'],
    ['stop', [call], 'tool_calls'],
    ['length', [call], 'length'],
  ])('that a model calls %s, after %j, is %s', async (reason, steps, expected) => {
    answering.script = [text('x'), ...steps, { type: 'done', reason, usage: used }];
    const end = [[expected], usage];
    expect(await endsOf('answering')).toEqual([end, end]);
  });

  it.each<[readonly Step[], string]>([
    [[], 'stop'],
    [[call], 'tool_calls'],
  ])('of an agent that took over is that of any other, after %j', async (steps, expected) => {
    answering.script = [text('x'), ...steps, { type: 'done', reason: 'stop', usage: used }];
    const end = [[expected], usage];
    expect(await endsOf('queen')).toEqual([end, end]);
  });
});

describe('what the official client asks for reaches the model', () => {
  const bodyFor = async (model: string, more: object) => {
    await client.chat.completions.create({ model: `ollama/${model}`, messages, ...more });
    return chats(model).at(-1)?.body as Record<string, unknown>;
  };

  it('options by their names there, and none that were not given', async () => {
    const model = 'normal?n=1&options';
    const body = await bodyFor(model, {
      temperature: 0.5,
      top_p: 0.9,
      seed: 3,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      max_tokens: 10,
      max_completion_tokens: 20,
      stop: 'END',
      user: null,
      logit_bias: null,
      parallel_tool_calls: true,
      store: false,
      metadata: { a: 'b' },
      some_field_of_tomorrow: {},
    });
    expect(body.options).toEqual({
      temperature: 0.5,
      top_p: 0.9,
      seed: 3,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      num_predict: 20,
      stop: ['END'],
    });
    expect(await bodyFor(model, { temperature: null, stop: null })).toMatchObject({ options: {} });
    expect(await bodyFor(model, { max_tokens: 10, stop: ['a', 'b'] })).toMatchObject({
      options: { num_predict: 10, stop: ['a', 'b'] },
    });
  });

  it('messages of every role, parts, images and tool results', async () => {
    const pixel = 'iVBORw0KGgo=';
    const body = await bodyFor('normal?n=1&messages', {
      messages: [
        { role: 'developer', content: 'Be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is' },
            { type: 'text', text: 'this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}`, detail: 'low' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"closer":true}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'a bee' },
      ],
    });
    expect(body.messages).toEqual([
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'What is\nthis?', images: [pixel] },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ function: { name: 'look', arguments: { closer: true } } }],
      },
      { role: 'tool', content: 'a bee', tool_name: 'look' },
    ]);
  });

  it('tools, unless there shall be none', async () => {
    const model = 'normal?n=1&tools';
    expect((await bodyFor(model, { tools })).tools).toEqual(tools);
    expect((await bodyFor(model, { tools, tool_choice: 'required' })).tools).toEqual(tools);
    expect(await bodyFor(model, { tools, tool_choice: 'none' })).not.toHaveProperty('tools');
  });

  it('the form of the answer', async () => {
    const model = 'normal?n=1&format';
    const schema = { type: 'object', properties: { a: { type: 'string' } } };
    expect((await bodyFor(model, { response_format: { type: 'json_object' } })).format).toBe('json');
    const json_schema = { name: 'x', schema, strict: true };
    expect((await bodyFor(model, { response_format: { type: 'json_schema', json_schema } })).format).toEqual(
      schema,
    );
    expect(await bodyFor(model, { response_format: { type: 'text' } })).not.toHaveProperty('format');
  });

  it.each([
    [{ reasoning_effort: 'none' }, false],
    [{ reasoning_effort: 'minimal' }, 'low'],
    [{ reasoning_effort: 'low' }, 'low'],
    [{ reasoning_effort: 'medium' }, 'medium'],
    [{ reasoning: { effort: 'high' } }, 'high'],
    [{ reasoning_effort: 'xhigh' }, 'max'],
  ])('%j', async (more, think) => {
    expect((await bodyFor('thinking?n=1', more)).think).toBe(think);
  });

  it('effort only where the model can think', async () => {
    const asked = await client.chat.completions.create({
      model: 'ollama/gemma2:2b',
      messages,
      reasoning_effort: 'high',
    });
    expect(asked.choices[0]?.message.content).toBe(fake.expectedText('gemma2:2b'));
    expect(chats('gemma2:2b').map(({ body }) => (body as { think?: unknown }).think)).toEqual([
      'high',
      undefined,
    ]);
  });

  it('nothing that was said before, unless the caller names a conversation', async () => {
    const model = 'normal?n=1&memory';
    const said = async (content: string, conversation?: string) => {
      await client.chat.completions.create(
        {
          model: `ollama/${model}`,
          messages: [
            { role: 'system', content: 'Be kind' },
            { role: 'user', content },
          ],
          ...(conversation && { user: 'ann' }),
        },
        conversation ? { headers: { 'x-conversation-id': conversation } } : {},
      );
      const body = chats(model).at(-1)?.body as { messages?: { content: string }[] } | undefined;
      return body?.messages?.map((message) => message.content);
    };
    const answer = fake.expectedText(model);
    const append = vi.spyOn(hive.kernel.get(ConversationStore), 'append');
    expect(await said('zero')).toEqual(['Be kind', 'zero']);
    expect(append).not.toHaveBeenCalled();
    append.mockRestore();
    expect(await said('one')).toEqual(['Be kind', 'one']);
    expect(await said('two')).toEqual(['Be kind', 'two']);
    expect(await said('three', 'c1')).toEqual(['Be kind', 'three']);
    expect(await said('four', 'c1')).toEqual(['Be kind', 'three', answer, 'four']);
    expect(await said('five', 'c2')).toEqual(['Be kind', 'five']);
    expect(await said('six')).toEqual(['Be kind', 'six']);
  });
});

describe('the official client gets typed errors', () => {
  const ask = (more: object, options: object = {}) =>
    failure(client.chat.completions.create({ model: 'ollama/normal', messages, ...more } as never, options));
  const image = (url: string) => ({
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
  });

  it.each([
    ['no messages', { messages: [] }, 'messages'],
    [
      'content that is a number',
      { messages: [messages[0], messages[0], { role: 'user', content: 5 }] },
      'messages[2].content',
    ],
    ['no content', { messages: [{ role: 'user', content: null }] }, 'messages[0].content'],
    ['an unknown role', { messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
    ['an image to be fetched', image('https://example.com/x.png'), 'messages[0].content[0].image_url.url'],
    ['two answers at once', { n: 2 }, 'n'],
    ['a temperature in words', { temperature: 'hot' }, 'temperature'],
    ['no model', { model: undefined }, 'model'],
    ['tools that are none', { tools: [{}] }, 'tools[0].function'],
    ['an unknown effort', { reasoning_effort: 'some' }, 'reasoning_effort'],
    ['an unknown response format', { response_format: { type: 'xml' } }, 'response_format.type'],
  ])('400 for %s', async (_, more, param) => {
    const error = await ask(more);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ status: 400, code: 'invalid_value', type: 'invalid_request_error', param });
    expect(error.message).toContain(param);
  });

  it.each(['x-conversation-id', 'idempotency-key'])('400 for a header %s that is too long', async (name) => {
    expect(await ask({}, { headers: { [name]: 'x'.repeat(200) } })).toMatchObject({ status: 400 });
  });

  it.each([
    ['user', 'x'.repeat(129)],
    ['user.id', { id: 'x'.repeat(200), email: 'a@example.com' }],
    ['user.email', { email: 'x'.repeat(1000) }],
  ])('400 for a %s that is too long: it is not cut', async (param, user) => {
    expect(await ask({ user })).toMatchObject({
      status: 400,
      param,
      message: expect.stringContaining('128'),
    });
  });

  it('404 for an agent and for a model that do not exist', async () => {
    for (const model of ['nobody', 'nobody/x', 'ollama/nosuch']) {
      const error = await ask({ model });
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ code: 'model_not_found', type: 'not_found_error', param: 'model' });
    }
  });

  it('404 for what does not exist under /v1, 405 for a wrong method', async () => {
    for (const path of ['/audio/speech', '/x/y/z', '/chat/completions/5']) {
      const error = await failure(client.post(path, { body: {} }));
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ code: 'unknown_route', type: 'not_found_error' });
    }
    expect(await failure(client.get('/chat/completions'))).toMatchObject({
      status: 405,
      code: 'method_not_allowed',
    });
  });

  it.each([
    ['ollama/fin-cut?k=2', 502, 'upstream_error'],
    ['ollama/html-200', 502, 'upstream_error'],
    ['ollama/error-first', 500, 'agent_failed'],
    ['broken', 500, 'agent_failed'],
  ])('%s is %d %s, and is not asked a second time', async (model, status, code) => {
    const asked = () => fake.requests.length + broken.requests.length;
    const before = asked();
    const error = await ask({ model });
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error).toMatchObject({ status, code, type: 'server_error', param: null });
    expect(error.requestID).toBeTruthy();
    expect(error.headers?.get('x-should-retry')).toBe('false');
    expect(error.headers?.get('x-stream-id')).toBeTruthy();
    expect(error.message).not.toMatch(/secret|127\.0\.0\.1/);
    expect(asked()).toBe(before + 1);
  });

  it('503 of a model that is busy, which may be asked again', async () => {
    const error = await ask({ model: 'ollama/http-503' }, { maxRetries: 0 });
    expect(error).toMatchObject({ status: 503, code: 'agent_unavailable' });
    expect(error.headers?.get('x-should-retry')).toBeNull();
    expect(error.headers?.get('retry-after')).toBeTruthy();
  });

  it('400 for what a model server does not take, with its text', async () => {
    const error = await ask({ model: 'ollama/http-400' });
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ code: 'invalid_request', type: 'invalid_request_error' });
    expect(error.message).toContain('does not support chat');
  });

  it('a failure of a stream before its first token has a status as well', async () => {
    const error = await ask({ model: 'ollama/error-first', stream: true });
    expect(error).toMatchObject({ status: 500, code: 'agent_failed' });
  });

  it('a failure in the middle is an error of the stream, which has no end', async () => {
    const model = 'ollama/fin-cut?k=2';
    const deltas: unknown[] = [];
    const error = await failure(
      (async () => {
        const stream = await client.chat.completions.create({ model, messages, stream: true });
        for await (const chunk of stream) deltas.push(chunk.choices[0]?.delta.content);
      })(),
    );
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ status: undefined, code: 'upstream_error', type: 'server_error' });
    expect(deltas.join('')).toBe(fake.expectedText('fin-cut?k=2'));

    const put = await failure(client.chat.completions.stream({ model, messages }).finalChatCompletion());
    expect(put).toMatchObject({ code: 'upstream_error' });
  });
});

describe('a server that has no room', () => {
  it('is asked again, when it said, and then says so', async () => {
    const full = await startHive({ fake, config: { 'streams-memory': { maxRunning: 1, maxWaiting: 0 } } });
    const waiting = await full.streams.start({
      content: 'Hallo',
      userId: 'u',
      agent: 'ollama',
      model: 'stall?k=1',
    });
    const tries: IncomingHttpHeaders[] = [];
    const proxied = createServer((incoming, outgoing) => {
      tries.push(incoming.headers);
      incoming.resume();
      void fetch(`${full.url}${incoming.url}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'ollama/normal', messages }),
      }).then(async (answer) => {
        const { headers } = answer;
        expect(headers.get('retry-after')).toMatch(/^\d+$/);
        expect(headers.get('x-should-retry')).toBeNull();
        const text = await answer.text();
        outgoing.writeHead(answer.status, { 'content-type': 'application/json', 'retry-after-ms': '1' });
        outgoing.end(text);
      });
    });
    await new Promise<void>((resolve) => proxied.listen(0, '127.0.0.1', resolve));
    const { port } = proxied.address() as { port: number };
    const hurried = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'any' });
    const error = await failure(hurried.chat.completions.create({ model: 'ollama/normal', messages }));
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error).toMatchObject({ status: 503, code: 'overloaded', type: 'server_error' });
    expect(tries.map((headers) => headers['x-stainless-retry-count'])).toEqual(['0', '1', '2']);
    await waiting.cancel('client');
    proxied.close();
    proxied.closeAllConnections();
    await full.close();
  });

  it('or no time', async () => {
    const hurried = await startHive({ fake, config: { 'endpoint-completions': { replyTimeoutMs: 500 } } });
    const impatient = new OpenAI({ baseURL: `${hurried.url}/v1`, apiKey: 'any' });
    const before = chats('silent').length;
    const error = await failure(impatient.chat.completions.create({ model: 'ollama/silent', messages }));
    expect(error).toMatchObject({ status: 504, code: 'upstream_timeout' });
    expect(chats('silent').length).toBe(before + 1);
    await hurried.close();
  });

  it('or agents that take too long', async () => {
    const slow = await startHive({ fake, config: { 'agent-ollama': { firstTokenTimeoutMs: 50 } } });
    const asks = new OpenAI({ baseURL: `${slow.url}/v1`, apiKey: 'any' });
    const error = await failure(
      asks.chat.completions.create({ model: 'ollama/silent', messages, stream: true }),
    );
    expect(error).toMatchObject({ status: 504, code: 'upstream_timeout' });
    await slow.close();
  });

  it('because it stops', async () => {
    const leaving = await startHive({ fake });
    const last = new OpenAI({ baseURL: `${leaving.url}/v1`, apiKey: 'any', maxRetries: 0 });
    const running = await leaving.streams.start({
      content: 'x',
      userId: 'u',
      agent: 'ollama',
      model: 'stall?k=1',
    });
    const stopped = leaving.stop();
    const error = await failure(last.chat.completions.create({ model: 'ollama/normal', messages }));
    expect(error).toMatchObject({ status: 503, code: 'draining' });
    expect(error.headers?.get('retry-after')).toBe('1');
    await running.cancel('client');
    await stopped;
  });
});

describe('who leaves', () => {
  const closed = (model: string) =>
    fake.waitFor((record) => record.model === model && record.atMs.peerClosed !== undefined);

  it.each(['break', 'abort'])('by %s closes the model’s socket', async (how) => {
    const model = `endless?ms=1&how=${how}`;
    const abort = new AbortController();
    const stream = await client.chat.completions.create(
      { model: `ollama/${model}`, messages, stream: true },
      { signal: abort.signal },
    );
    let count = 0;
    for await (const _ of stream) {
      if (++count < 5) continue;
      if (how === 'break') break;
      abort.abort();
    }
    const record = await closed(model);
    expect(record.endedBy).toBe('peer');
    await hive.settled();
  });

  it('before the first token, or from a whole answer, closes it, too', async () => {
    for (const stream of [true, false]) {
      const model = `silent?stream=${stream}`;
      const abort = new AbortController();
      const asked = failure(
        client.chat.completions.create(
          { model: `ollama/${model}`, messages, stream },
          { signal: abort.signal },
        ),
      );
      await fake.waitFor((record) => record.model === model && record.mode !== undefined);
      abort.abort();
      expect(await asked).toBeInstanceOf(OpenAI.APIUserAbortError);
      expect((await closed(model)).endedBy).toBe('peer');
    }
    await hive.settled();
  });

  it('closes nothing when the run is to go on, and may read it by its id', async () => {
    const model = 'slow-tokens?ms=5&n=20';
    const { data, response } = await client.chat.completions
      .create(
        { model: `ollama/${model}`, messages, stream: true },
        { headers: { 'x-on-disconnect': 'continue' } },
      )
      .withResponse();
    for await (const _ of data) break;
    const id = response.headers.get('x-stream-id');
    const accept = 'application/x-ndjson';
    const rest = await fetch(`${hive.url}/chat/stream/${id}?position=0`, { headers: { accept } });
    const frames = (await rest.text()).trim().split('\n');
    const text = frames.map((line) => JSON.parse(line).content ?? '').join('');
    expect(text).toBe(fake.expectedText(model));
    expect(chats(model)).toHaveLength(1);
  });

  it('may be stopped by the id of its stream', async () => {
    const model = 'endless?ms=1&how=id';
    const { data, response } = await client.chat.completions
      .create({ model: `ollama/${model}`, messages, stream: true })
      .withResponse();
    const error = await failure(
      (async () => {
        for await (const { choices } of data)
          if (choices[0]?.delta.role)
            void fetch(`${hive.url}/chat/stream/${response.headers.get('x-stream-id')}`, {
              method: 'DELETE',
            });
      })(),
    );
    expect(error).toMatchObject({ code: 'upstream_error', message: expect.stringContaining('cancelled') });
    expect((await closed(model)).endedBy).toBe('peer');
  });

  it('and comes back with the same key joins the run that it started', async () => {
    const model = 'slow-tokens?ms=10&n=20&key';
    const hurried = new OpenAI({ baseURL: `${hive.url}/v1`, apiKey: 'any', maxRetries: 1 });
    const headers = { 'idempotency-key': 'once' };
    const request = { model: `ollama/${model}`, messages, user: 'ann' };
    const abort = new AbortController();
    const first = failure(hurried.chat.completions.create(request, { headers, signal: abort.signal }));
    await fake.waitFor((record) => record.model === model && record.lines > 1);
    abort.abort();
    expect(await first).toBeInstanceOf(OpenAI.APIUserAbortError);
    const second = await hurried.chat.completions.create(request, { headers });
    expect(second.choices[0]?.message.content).toBe(fake.expectedText(model));
    const third = await hurried.chat.completions.create(request, { headers });
    expect(third.id).toBe(second.id);
    expect(chats(model)).toHaveLength(1);
  });
});
