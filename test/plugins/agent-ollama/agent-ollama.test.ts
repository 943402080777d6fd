import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chunksOf, type StreamChunk } from '#kernel';
import { baseUrlOf } from '../../../plugins/agent-ollama/base-url.js';
import { type Config, config } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { agentContract } from '../../contracts/agent.contract.js';
import { expectAtOnce, roundTripMs } from '../../support/at-once.js';
import { type FakeOllama, type FakeOllamaOptions, startFakeOllama } from '../../support/fake-ollama/index.js';

const logger = pino({ level: 'silent' });
const ask = (model?: string) => ({
  id: 'q',
  messages: [{ role: 'user' as const, content: 'Hallo' }],
  ...(model && { model }),
});

async function start(options: Partial<Config> = {}, fakeOptions: FakeOllamaOptions = {}) {
  const fake = await startFakeOllama(fakeOptions);
  const agent = new OllamaAgent(config.parse({ baseUrl: fake.url, ...options }));
  return { fake, agent };
}

agentContract('agent-ollama', async () => {
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

describe('agent-ollama', () => {
  let fake: FakeOllama;
  let agent: OllamaAgent;

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
  const collect = async (model?: string, signal = new AbortController().signal) => {
    const chunks: StreamChunk[] = [];
    let error: unknown;
    try {
      for await (const batch of agent.generateResponseStream(ask(model), { signal, logger }))
        chunks.push(...chunksOf(batch));
    } catch (cause) {
      error = cause;
    }
    const join = (type: 'text' | 'thinking') =>
      chunks.map((chunk) => (chunk.type === type ? chunk.content : '')).join('');
    return { chunks, text: join('text'), thinking: join('thinking'), last: chunks.at(-1), error };
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
  ])('passes on every character of %s', async (model) => {
    const { text, thinking, last, error } = await collect(model);
    expect(error).toBeUndefined();
    expect(text).toBe(fake.expectedText(model));
    expect(thinking).toBe(model === 'thinking' ? fake.expectedThinking(model) : '');
    expect(last).toMatchObject({ type: 'done', reason: 'stop' });
  });

  it('takes JSON for JSON, also from a proxy that names no type, and in one piece', async () => {
    const line = '{"message":{"role":"assistant","content":"whole"},"done":true,"done_reason":"stop"}';
    const plain = createServer((request, response) => {
      request.resume();
      if (request.url === '/api/version') response.end('{"version":"1.0"}');
      else if (request.url === '/api/tags') response.end('{"models":[{"name":"m"}]}');
      else response.end(line);
    }).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const { port } = plain.address() as AddressInfo;
    agent.close();
    agent = new OllamaAgent(config.parse({ baseUrl: `http://127.0.0.1:${port}` }));
    expect(await agent.health(new AbortController().signal)).toMatchObject({ healthy: true, models: ['m'] });
    expect(await collect()).toMatchObject({ text: 'whole', error: undefined });
    agent.close();
    plain.close();
    await once(plain, 'close');
  });

  it('takes a line of half a megabyte', async () => {
    const { text, error } = await collect('huge-line?bytes=500000&whole=1');
    expect(error).toBeUndefined();
    expect(text.length).toBeGreaterThan(499_000);
  });

  it('gives what came in one read as one array', async () => {
    const sizes: number[] = [];
    const stream = agent.generateResponseStream(ask('burst?n=1000'), {
      signal: new AbortController().signal,
      logger,
    });
    for await (const batch of stream) sizes.push(batch.length);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(1001);
    expect(sizes.length).toBeLessThan(100);
  });

  it('says why the model stopped, and what it used', async () => {
    expect((await collect('length')).last).toMatchObject({ type: 'done', reason: 'length' });
    const { last } = await collect('normal?n=7');
    expect(last?.type === 'done' && last.usage?.outputTokens).toBe(7);
  });

  it.each(['tool-early', 'tool-late', 'tool-late?id=0'])('passes the tool calls of %s on', async (model) => {
    const { chunks, last, error } = await collect(model);
    expect(error).toBeUndefined();
    const [call] = chunks.filter((chunk) => chunk.type === 'tool_call');
    expect(call?.id).toMatch(/^call_/);
    expect(call?.name).toBe('get_weather');
    expect(call?.arguments).toBeTypeOf('object');
    expect(last).toMatchObject({ type: 'done', reason: 'tool_calls' });
  });

  it.each([
    ['no-done', 'AGENT_DISCONNECTED'],
    ['no-done?k=0', 'AGENT_DISCONNECTED'],
    ['done-reason-only', 'AGENT_DISCONNECTED'],
    ['reset', 'AGENT_DISCONNECTED'],
    ['reset?mid=1', 'AGENT_DISCONNECTED'],
    ['fin-cut', 'AGENT_DISCONNECTED'],
    ['half-line', 'AGENT_PROTOCOL'],
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
  ])('reports %s as %s, with no made-up end and nothing printed', async (model, code) => {
    const { chunks, text, error } = await collect(model);
    expect(error).toMatchObject({ code });
    expect(chunks.some((chunk) => chunk.type === 'done')).toBe(false);
    expect(fake.expectedText(model).startsWith(text)).toBe(true);
    expect(String((error as Error).message)).not.toMatch(/<|127\.0\.0\.1|\bat \//);
  });

  it('keeps the tokens that came before a broken line', async () => {
    const { text } = await collect('malformed?k=3');
    expect(text).toBe(fake.expectedTokens('malformed?k=3').slice(0, 3).join(''));
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
      const base = await roundTripMs(`${fake.url}/api/version`);
      const abortedAt = performance.now();
      abort.abort();
      await collected;
      const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
      expectAtOnce((record.atMs.peerClosed ?? Infinity) - abortedAt, base);
      expect(record.endedBy).toBe('peer');
    },
  );

  it('closes the socket when its reader leaves in the middle', async () => {
    const { signal } = new AbortController();
    for await (const _ of agent.generateResponseStream(ask('endless'), { signal, logger })) break;
    const record = await fake.waitFor((each) => each.atMs.peerClosed !== undefined);
    expect(record.endedBy).toBe('peer');
  });

  it('stops one of two streams and leaves the other alone', async () => {
    const abort = new AbortController();
    const one = collect('slow-tokens?ms=10&n=1000', abort.signal);
    const two = collect('slow-tokens?ms=5&n=20');
    await fake.waitFor((record) => record.mode !== undefined && fake.requests.length >= 2);
    abort.abort();
    expect((await one).error).toBeDefined();
    expect((await two).text).toBe(fake.expectedText('slow-tokens?ms=5&n=20'));
  });

  it('takes its connection up again for the next request', async () => {
    for (let request = 0; request < 6; request++) await collect('normal');
    // A connection is free one turn after its answer, so two take turns.
    expect(new Set(fake.requests.map((record) => record.connection)).size).toBeLessThanOrEqual(2);
  });

  it('asks once more when an idle connection had died, and answers', async () => {
    await collect('normal');
    const { text, error } = await collect('stale-keepalive');
    expect(error).toBeUndefined();
    expect(text).toBe(fake.expectedText('stale-keepalive'));
  });

  it('ends once after "done", whatever follows', async () => {
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
    expect(health).toMatchObject({ healthy: false, detail: expect.stringContaining('OLLAMA_HOST') });
    fake = await startFakeOllama();
  });

  it('is healthy with a model, and not without', async () => {
    const { signal } = new AbortController();
    expect(await agent.health(signal)).toMatchObject({
      healthy: true,
      models: expect.arrayContaining(['gemma2:2b']),
    });
    await restart({}, { models: [] });
    expect(await agent.health(signal)).toMatchObject({
      healthy: false,
      detail: expect.stringContaining('ollama pull'),
    });
  });

  it.each([
    [{ model: 'gemma2:2b' }, 'gemma2:2b'],
    [{ model: 'llama3.2' }, 'llama3.2'],
    [{ model: 'not-there' }, 'llama3.2:latest'],
    [{}, 'llama3.2:latest'],
  ])('with %j it asks %s when the request names no model', async (options, model) => {
    await restart(options);
    await collect();
    expect(fake.requests.find((record) => record.path === '/api/chat')?.model).toBe(model);
  });

  it('gives the options of a request their Ollama names', async () => {
    await restart({ think: false, keepAlive: '5m' });
    const { signal } = new AbortController();
    const options = { temperature: 0.5, topP: 0.9, maxTokens: 3, seed: 4, stop: ['x'] };
    for await (const _ of agent.generateResponseStream({ ...ask('llama3.2'), options }, { signal, logger })) {
      // Only what was sent matters.
    }
    expect(fake.requests.find((record) => record.path === '/api/chat')?.body).toMatchObject({
      think: false,
      keep_alive: '5m',
      options: { temperature: 0.5, top_p: 0.9, num_predict: 3, seed: 4, stop: ['x'] },
    });
  });

  it.each(['http://user:secret@localhost:11434', 'ftp://localhost', 'http://'])(
    'refuses the base URL %s without printing it',
    (baseUrl) => {
      const { error } = config.safeParse({ baseUrl });
      expect(error).toBeDefined();
      expect(JSON.stringify(error?.issues)).not.toContain('secret');
    },
  );

  it.each([
    ['gpu-box', 'http://gpu-box:11434/'],
    ['gpu-box:80', 'http://gpu-box/'],
    ['0.0.0.0', 'http://127.0.0.1:11434/'],
    [':1234', 'http://127.0.0.1:1234/'],
    ['https://models.example/ollama', 'https://models.example/ollama'],
  ])('reads the host %s as %s', (host, url) => {
    expect(baseUrlOf(host).href).toBe(url);
  });
});
