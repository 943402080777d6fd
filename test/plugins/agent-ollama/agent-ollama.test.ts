import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { baseUrlOf } from '../../../plugins/agent-ollama/base-url.js';
import { type Config, config } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { upstreamAgentContract } from '../../contracts/upstream-agent.contract.js';
import { type FakeOllama, startFakeOllama } from '../../support/fake-ollama/index.js';
import { startHttpServer } from '../../support/http-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

const line = '{"message":{"role":"assistant","content":"whole"},"done":true,"done_reason":"stop"}';

for (const upstream of ['auto', 'node'] as const)
  upstreamAgentContract(`agent-ollama, ${upstream}`, {
    create: (baseUrl, options) => new OllamaAgent(config.parse({ baseUrl, upstream, ...options })),
    chatPath: '/api/chat',
    listPath: '/api/tags',
    advice: 'OLLAMA_HOST',
    noModel: 'ollama pull',
    alsoWhole: [],
    alsoFailing: [
      ['done-reason-only', 'AGENT_DISCONNECTED'],
      ['half-line', 'AGENT_PROTOCOL'],
    ],
    answer: `${line}\n`,
  });

describe('agent-ollama', () => {
  let fake: FakeOllama;
  let agent: OllamaAgent;

  const start = (options: Partial<Config> = {}, baseUrl = fake.url) => {
    agent?.close();
    agent = new OllamaAgent(config.parse({ baseUrl, ...options }));
  };
  beforeEach(async () => {
    fake = await startFakeOllama();
    start();
  });
  afterEach(async () => {
    agent.close();
    await fake.close();
  });

  it('takes JSON for JSON, also from a proxy that names no type, and in one piece', async () => {
    const plain = await startHttpServer((request, response) => {
      request.resume();
      if (request.url === '/api/version') response.end('{"version":"1.0"}');
      else if (request.url === '/api/tags') response.end('{"models":[{"name":"m"}]}');
      else response.end(line);
    });
    start({}, plain.url);
    expect(await agent.health(new AbortController().signal)).toMatchObject({
      healthy: true,
      detail: 'Ollama 1.0',
      models: ['m'],
    });
    expect(await wholeAnswer(agent, hello())).toMatchObject({ text: 'whole', error: undefined });
    agent.close();
    await plain.close();
  });

  it.each([
    [{ model: 'llama3.2' }, 'llama3.2'],
    [{ model: 'not-there' }, 'llama3.2:latest'],
  ])('with %j it asks %s when the request names no model', async (options, model) => {
    start(options);
    await wholeAnswer(agent, hello());
    expect(fake.requests.find((record) => record.path === '/api/chat')?.model).toBe(model);
  });

  it('gives the options of a request their Ollama names', async () => {
    start({ think: false, keepAlive: '5m' });
    const options = { temperature: 0.5, topP: 0.9, maxTokens: 3, seed: 4, stop: ['x'] };
    await wholeAnswer(agent, { ...hello('llama3.2'), options });
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

describe('the headers of a chat', () => {
  /** What the agent would send, without sending it. */
  const headersOf = async (
    baseUrl: string,
    options: Partial<Config> = {},
    ofCall?: Record<string, string>,
  ) => {
    const agent = new OllamaAgent(config.parse({ baseUrl, ...options }));
    const send = vi.fn().mockRejectedValue(new Error('not sent'));
    const { ask } = agent as unknown as { ask(...args: readonly unknown[]): Promise<unknown> };
    await ask.call(agent, { send }, hello(), 'm', ofCall).catch(() => {});
    agent.close();
    const [[, inquiry]] = send.mock.calls as [[URL, { readonly headers: Record<string, string> }]];
    return inquiry.headers;
  };
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ['https://ollama.com', 'Bearer the-key'],
    ['ollama.com', 'Bearer the-key'],
    ['http://ollama.com', undefined],
    ['https://ollama.com.example', undefined],
    ['https://example.com', undefined],
  ])('has the key of the cloud for %s: %s', async (baseUrl, authorization) => {
    vi.stubEnv('OLLAMA_API_KEY', 'the-key');
    expect((await headersOf(baseUrl)).authorization).toBe(authorization);
  });

  it('names who asks, and gives precedence to the config over all others', async () => {
    vi.stubEnv('OLLAMA_API_KEY', 'the-key');
    const plain = await headersOf('http://127.0.0.1:1');
    expect(plain).toEqual({
      'content-type': 'application/json',
      accept: 'application/json',
      'user-agent': expect.stringMatching(/^waggle-server\/\d/),
    });
    // What is the same for every chat is written once.
    expect(Object.isFrozen(plain)).toBe(true);
    const headers = { 'User-Agent': 'mine', Authorization: 'Basic x' };
    const told = await headersOf(
      'https://ollama.com',
      { headers },
      { traceparent: '00-1', authorization: 'no' },
    );
    expect(told).toEqual({
      ...plain,
      traceparent: '00-1',
      'user-agent': 'mine',
      authorization: 'Basic x',
    });
  });
});
