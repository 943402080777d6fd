import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, jsonSchema, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type FakeOllama, startFakeOllama } from '../../support/fake-ollama/index.js';
import { type Hive, startHive } from '../../support/hive.js';
import { httpRequest, RawClient } from '../../support/raw-client.js';
import { call } from '../../support/transport.js';

const origin = 'https://chat.example.com';
const messages = [{ role: 'user', content: 'Hallo' }];
const tokens = Array.from({ length: 50_000 }, (_, index) => text(`token ${index} `));

/** The body without the sizes of the chunks that it came in. */
function dechunked(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString(), 16);
    if (!size) return Buffer.concat(parts).toString();
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}

describe.each(['uws', 'node'] as const)('on the wire of transport-%s', (transport) => {
  let fake: FakeOllama;
  let hive: Hive;
  let port: number;
  const scripted = new ScriptedAgent('scripted');

  beforeAll(async () => {
    fake = await startFakeOllama();
    hive = await startHive({
      fake,
      transport,
      config: {
        transport: { allowedOrigins: [origin] },
        'endpoint-completions': { holdHeadersMs: 30, heartbeatMs: 10, bodyLimitBytes: 4096 },
      },
      plugins: [
        definePlugin({ name: 'scripted', apiVersion: 1, setup: (ctx) => void ctx.addAgent(scripted) }),
      ],
    });
    port = Number(new URL(hive.url).port);
  });
  afterAll(async () => {
    await hive.close();
    await fake.close();
  });

  const post = (body: object | string, headers: Record<string, string> = {}, path = '/v1/chat/completions') =>
    call(port, {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const ask = (model: string, more: object = {}, headers: Record<string, string> = {}) =>
    post({ model, messages, stream: true, ...more }, headers);
  const eventsOf = (body: string) =>
    body
      .split('\n\n')
      .filter((event) => event.startsWith('data: '))
      .map((event) => event.slice(6));

  /** What comes on a connection of its own, to the end of the answer. */
  async function raw(
    model: string,
    held?: (client: RawClient) => Promise<void>,
  ): Promise<{ readonly head: string; readonly body: string }> {
    const client = await RawClient.connect(port);
    const options = { include_usage: true };
    const body = { model, messages, stream: true, stream_options: options };
    const sent = client.send(httpRequest({ path: '/v1/chat/completions', body }));
    await held?.(client);
    await sent;
    await client.waitForText('\r\n0\r\n\r\n');
    const { bytes } = client;
    await client.close();
    const start = bytes.indexOf('\r\n\r\n');
    return { head: bytes.subarray(0, start).toString(), body: dechunked(bytes.subarray(start + 4)) };
  }

  it('has one role, one end, one id, and an empty line after each event', async () => {
    const { head, body } = await raw('ollama/normal?n=20');
    expect(head).toMatch(/^HTTP\/1.1 200 OK/);
    for (const header of [
      /^content-type: text\/event-stream; charset=utf-8$/im,
      /^cache-control: no-cache, no-transform$/im,
      /^x-accel-buffering: no$/im,
      /^x-request-id: \S+$/im,
      /^x-stream-id: \S+$/im,
    ])
      expect(head).toMatch(header);
    expect(head).not.toMatch(/content-encoding/i);
    expect(
      body
        .trimEnd()
        .split('\n\n')
        .every((event) => /^(data: [^\n]+|: keep-alive)$/.test(event)),
    ).toBe(true);
    expect(body).toMatch(/\n\ndata: \[DONE\]\n\n(\r\n)*$/);

    const events = eventsOf(body);
    expect(events.filter((event) => event === '[DONE]')).toHaveLength(1);
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event));
    const choices = chunks.flatMap((chunk) => chunk.choices);
    expect(choices.filter(({ delta }) => 'role' in delta)).toEqual([choices[0]]);
    expect(choices.filter((choice) => choice.finish_reason !== null)).toEqual([choices.at(-1)]);
    expect(choices.at(-1)).toEqual({ index: 0, delta: {}, finish_reason: 'stop' });
    expect(
      new Set(chunks.map(({ id, object, created, model }) => [id, object, created, model].join())).size,
    ).toBe(1);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20 } });
    expect(choices.map(({ delta }) => delta.content ?? '').join('')).toBe(fake.expectedText('normal?n=20'));
  });

  it('ends with one error where the model fails in the middle', async () => {
    const { head, body } = await raw('ollama/reset?k=3');
    expect(head).toMatch(/^HTTP\/1.1 200 OK/);
    const events = eventsOf(body);
    const last = JSON.parse(events.at(-1) as string);
    expect(last).toEqual({
      error: { message: expect.any(String), type: 'server_error', param: null, code: 'upstream_error' },
    });
    expect(body).not.toMatch(/\[DONE\]|"finish_reason":"/);
    expect(events.filter((event) => event.includes('"error"'))).toHaveLength(1);
  });

  it('sends headers and comments while nothing comes, and no more than that', async () => {
    scripted.script = ['wait', text('at last'), done];
    const abort = new AbortController();
    const answer = await fetch(`${hive.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'scripted', messages, stream: true }),
      signal: abort.signal,
    });
    expect(answer.status).toBe(200);
    let body = '';
    for await (const part of answer.body as ReadableStream<Uint8Array>) {
      body += Buffer.from(part).toString();
      if (body.length >= 3 * ': keep-alive\n\n'.length) scripted.release();
    }
    expect(body).toMatch(/^(: keep-alive\n\n){3,}data: \{.*"role":"assistant"/);
    expect(body).toMatch(/at last.*data: \[DONE\]\n\n$/s);
  });

  it('says in the stream what went wrong once the headers are out', async () => {
    scripted.script = ['wait', new Error('broken')];
    const { head, body } = await raw('scripted', async (client) => {
      await client.waitForText(': keep-alive');
      scripted.release();
    });
    expect(head).toMatch(/^HTTP\/1.1 200 OK/);
    expect(body).toMatch(/^(: keep-alive\n\n)+data: \{"error":\{[^\n]*"code":"agent_failed"\}\}\n\n$/);
  });

  it('merges what a slow reader has not taken', async () => {
    scripted.script = [
      ...Array.from({ length: 50 }, (_, at) => tokens.slice(at * 1000, (at + 1) * 1000)),
      done,
    ];
    const { body } = await raw('scripted', async (client) => {
      client.pause();
      const before = scripted.requests.length;
      while (scripted.requests.length === before || scripted.running > 0)
        await new Promise((resolve) => setTimeout(resolve, 5));
      client.resume();
    });
    const events = eventsOf(body)
      .slice(0, -2)
      .map((event) => JSON.parse(event));
    const content = events.map(({ choices }) => choices[0].delta.content ?? '').join('');
    expect(content).toBe(tokens.map((token) => (token.type === 'text' ? token.content : '')).join(''));
    expect(events.length).toBeLessThan(50_000);
  });

  it('lets pages of allowed origins in, whatever the official client sends', async () => {
    const asked = [
      'authorization',
      'content-type',
      'x-stainless-retry-count',
      'idempotency-key',
      'openai-beta',
    ];
    for (const path of ['/v1/chat/completions', '/v1/models', '/v1/models/ollama%2Fx', '/v1/embeddings']) {
      const preflight = await call(port, {
        method: 'OPTIONS',
        path,
        headers: {
          origin,
          'access-control-request-method': path.includes('models') ? 'GET' : 'POST',
          'access-control-request-headers': asked.join(', '),
        },
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-headers': asked.join(', '),
        'access-control-max-age': '600',
        vary: 'Origin',
      });
      expect(preflight.headers['access-control-allow-methods']).toContain(
        path.includes('models') ? 'GET' : 'POST',
      );
    }
    const exposed = expect.stringContaining('x-should-retry');
    for (const model of ['ollama/normal?n=1', 'ollama/error-first', 'nobody'])
      for (const stream of [true, false])
        expect((await ask(model, { stream }, { origin })).headers).toMatchObject({
          'access-control-allow-origin': origin,
          'access-control-expose-headers': exposed,
        });
  });

  it('keeps other pages out', async () => {
    const evil = { origin: 'https://evil.example' };
    const answer = await ask('ollama/normal', {}, evil);
    expect(answer.status).toBe(403);
    expect(answer.json.error).toMatchObject({ type: 'permission_error', code: 'forbidden' });
    const preflight = await call(port, { method: 'OPTIONS', path: '/v1/models', headers: evil });
    expect(preflight.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it.each([
    ['no JSON', '{', {}, 400, 'invalid_json'],
    ['JSON that is too deep', `{"a":${'['.repeat(50)}${']'.repeat(50)}}`, {}, 400, 'invalid_value'],
    ['no object', '[]', {}, 400, 'invalid_value'],
    ['too much', JSON.stringify({ a: 'x'.repeat(5000) }), {}, 413, 'request_too_large'],
    ['another type', '<x/>', { 'content-type': 'text/xml' }, 415, 'unsupported_media_type'],
  ])('refuses %s in the words of that API', async (_, body, headers, status, code) => {
    const answer = await post(body, headers as Record<string, string>);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json).toEqual({
      error: { message: expect.any(String), type: 'invalid_request_error', param: null, code },
    });
    expect(answer.headers['x-request-id']).toBeTruthy();
  });

  it.each(['/v1/x', '/v1/x/', '/v1//x', '/v1/models/%00', '/v1/chat'])(
    'answers %s as that API does, and what is no part of it as everywhere else',
    async (path) => {
      const answer = await call(port, { path });
      expect([answer.status, answer.json.error.type]).toEqual([404, 'not_found_error']);
      expect(Object.keys(answer.json.error)).toEqual(['message', 'type', 'param', 'code']);
      expect((await call(port, { path: path.replace('/v1', '/v2') })).json.error.code).toBe('NOT_FOUND');
    },
  );

  it('finds a model with a slash, encoded or not', async () => {
    for (const path of ['/v1/models/ollama%2Fllama3.2', '/v1/models/ollama/llama3.2'])
      expect((await call(port, { path })).json).toMatchObject({ id: 'ollama/llama3.2', object: 'model' });
  });

  it('takes the odd fields of other clients: user objects, max_tokens, null', async () => {
    const answer = await ask('ollama/normal?n=2', {
      stream: false,
      user: { name: 'Ann', id: 'ann', email: 'a@example.com', role: 'user' },
      max_tokens: 5,
      stream_options: null,
      tools: null,
      response_format: null,
    });
    expect(answer.status).toBe(200);
  });

  describe('the AI SDK', () => {
    const model = (id: string) =>
      createOpenAICompatible({ name: 'waggle', baseURL: `${hive.url}/v1`, includeUsage: true })(id);

    it('streams text, thinking and usage', async () => {
      const result = streamText({ model: model('ollama/thinking'), prompt: 'Hallo' });
      expect(await result.text).toBe(fake.expectedText('thinking'));
      expect(await result.reasoningText).toBe(fake.expectedThinking('thinking'));
      expect(await result.finishReason).toBe('stop');
      expect((await result.usage).outputTokens).toBeGreaterThan(0);
    });

    it('gets a whole answer', async () => {
      const {
        text: content,
        reasoningText,
        usage,
      } = await generateText({ model: model('ollama/thinking'), prompt: 'Hallo' });
      expect([content, reasoningText]).toEqual([
        fake.expectedText('thinking'),
        fake.expectedThinking('thinking'),
      ]);
      expect(usage.inputTokens).toBeGreaterThan(0);
    });

    it('calls tools, and comes back with their results', async () => {
      const asked: unknown[] = [];
      const weather = tool({
        inputSchema: jsonSchema<{ city: string }>({
          type: 'object',
          properties: { city: { type: 'string' } },
        }),
        execute: async (input) => {
          asked.push(input);
          return 'sunny';
        },
      });
      const result = streamText({
        model: model('ollama/tool-late'),
        prompt: 'Hallo',
        tools: { get_weather: weather },
      });
      expect(await result.finishReason).toBe('tool-calls');
      const [called] = await result.toolCalls;
      expect(called).toMatchObject({ toolName: 'get_weather', input: { city: expect.any(String) } });
      expect(asked).toEqual([called?.input]);
      const { response } = result;
      await generateText({
        model: model('ollama/normal?n=1&after-tool'),
        messages: [{ role: 'user', content: 'Hallo' }, ...(await response).messages],
      });
      const { body } = await fake.waitFor((record) => record.model === 'normal?n=1&after-tool');
      expect(body).toMatchObject({
        messages: [
          { role: 'user' },
          {
            role: 'assistant',
            tool_calls: [{ function: { name: 'get_weather', arguments: called?.input } }],
          },
          { role: 'tool', tool_name: 'get_weather', content: 'sunny' },
        ],
      });
    });

    it('gets errors that it understands', async () => {
      const error = await generateText({ model: model('nobody'), prompt: 'x', maxRetries: 0 }).catch(
        (cause) => cause,
      );
      expect(APICallError.isInstance(error) && error.statusCode).toBe(404);
      expect(error.message).toContain("model 'nobody' not found");
      const errors: unknown[] = [];
      const result = streamText({
        model: model('ollama/fin-cut?k=2'),
        prompt: 'x',
        onError: ({ error: cause }) => void errors.push(cause),
      });
      await result.consumeStream();
      expect(errors).toHaveLength(1);
    });
  });
});

describe('reasoning', () => {
  it('is called as clients of this server expect it', async () => {
    const fake = await startFakeOllama();
    const hive = await startHive({
      fake,
      config: { 'endpoint-completions': { reasoningField: 'reasoning' } },
    });
    const ask = async (stream: boolean) => {
      const answer = await fetch(`${hive.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'ollama/thinking', messages, stream }),
      });
      return answer.text();
    };
    for (const stream of [true, false]) {
      const body = await ask(stream);
      expect(body).toContain('"reasoning":"');
      expect(body).not.toContain('reasoning_content');
    }
    await hive.close();
    await fake.close();
  });
});

describe('a stream', () => {
  const start = (fake: FakeOllama) =>
    startHive({
      fake,
      drainTimeoutMs: 50,
      config: {
        'streams-memory': { maxRunning: 1 },
        'endpoint-completions': { holdHeadersMs: 10, heartbeatMs: 10 },
      },
    });
  const ask = (hive: Hive, model: string, stream = true) =>
    fetch(`${hive.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, stream }),
    });

  it('is kept open while it waits for its turn', async () => {
    const fake = await startFakeOllama();
    const hive = await start(fake);
    const first = await hive.streams.start({
      content: 'x',
      userId: 'u',
      agent: 'ollama',
      model: 'stall?k=1',
    });
    const answer = await ask(hive, 'ollama/normal?n=2');
    let body = '';
    for await (const part of answer.body as ReadableStream<Uint8Array>) {
      body += Buffer.from(part).toString();
      if (body.length >= 3 * ': keep-alive\n\n'.length) void first.cancel('client');
    }
    expect(body).toMatch(/^(: keep-alive\n\n){3,}data: .*\[DONE\]\n\n$/s);
    await hive.close();
    await fake.close();
  });

  it('says that the server stops, and so does a whole answer', async () => {
    const fake = await startFakeOllama();
    const hive = await start(fake);
    const whole = ask(hive, 'ollama/stall?k=2', false);
    await fake.waitFor((record) => record.lines === 2);
    const queued = await ask(hive, 'ollama/normal?n=2');
    const stopped = hive.stop();
    const error = { type: 'server_error', param: null, code: 'draining', message: expect.any(String) };
    const refused = await whole;
    expect([refused.status, await refused.json()]).toEqual([503, { error }]);
    expect(refused.headers.get('x-should-retry')).toBeNull();
    const events = (await queued.text()).split('\n\n').filter((event) => event.startsWith('data: '));
    expect(events.map((event) => JSON.parse(event.slice(6)))).toEqual([{ error }]);
    await stopped;
    await fake.close();
  });
});
