import { describe, expect, it } from 'vitest';
import { baseUrlOf } from '../../../plugins/agent-ollama/base-url.js';
import { config } from '../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../plugins/agent-ollama/ollama-agent.js';
import { lines, startScriptedServer } from '../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../support/whole-answer.js';

describe('OLLAMA_HOST', () => {
  it.each([
    // As the tests of Ollama's own envconfig have it.
    ['', 'http://127.0.0.1:11434/'],
    ['1.2.3.4', 'http://1.2.3.4:11434/'],
    [':1234', 'http://127.0.0.1:1234/'],
    ['1.2.3.4:1234', 'http://1.2.3.4:1234/'],
    ['example.com', 'http://example.com:11434/'],
    ['example.com:1234', 'http://example.com:1234/'],
    ['[::1]', 'http://[::1]:11434/'],
    ['[::]', 'http://[::1]:11434/'],
    ['::1', 'http://[::1]:11434/'],
    ['::', 'http://[::1]:11434/'],
    ['[::1]:1337', 'http://[::1]:1337/'],
    [' 1.2.3.4 ', 'http://1.2.3.4:11434/'],
    ['"1.2.3.4"', 'http://1.2.3.4:11434/'],
    [' " 1.2.3.4 " ', 'http://1.2.3.4:11434/'],
    ["'1.2.3.4'", 'http://1.2.3.4:11434/'],
    ['http://1.2.3.4', 'http://1.2.3.4/'],
    ['http://1.2.3.4:4321', 'http://1.2.3.4:4321/'],
    ['https://1.2.3.4', 'https://1.2.3.4/'],
    ['https://1.2.3.4:4321', 'https://1.2.3.4:4321/'],
    ['https://example.com/ollama', 'https://example.com/ollama'],
    ['http://example.com:80/a/b/', 'http://example.com/a/b/'],
    ['ollama.com', 'https://ollama.com/'],
    // And siblings.
    ['0.0.0.0', 'http://127.0.0.1:11434/'],
    ['0.0.0.0:8080', 'http://127.0.0.1:8080/'],
    ['http://0.0.0.0:11434', 'http://127.0.0.1:11434/'],
    ['gpu-box/ollama', 'http://gpu-box:11434/ollama'],
    ['gpu-box:80', 'http://gpu-box/'],
    ['gpu_box', 'http://gpu_box:11434/'],
    ['2001:db8::1', 'http://[2001:db8::1]:11434/'],
    ['HTTP://Gpu-Box:1', 'http://gpu-box:1/'],
    ['\thost.docker.internal\n', 'http://host.docker.internal:11434/'],
  ])('%j is %s', (setting, url) => {
    expect(config.safeParse({ baseUrl: setting }).error).toBeUndefined();
    expect(baseUrlOf(setting).href).toBe(url);
  });

  it.each([
    'ftp://x',
    'http://',
    '11434',
    ':0',
    ':66000',
    ':-1',
    'a b',
    "a'b",
    'x:y',
    'http://x?y=1',
    'http://me:secret@x',
    'http://x#y',
  ])('%j is refused', (baseUrl) => {
    const { error } = config.safeParse({ baseUrl });
    expect(error).toBeDefined();
    expect(JSON.stringify(error?.issues)).not.toContain('secret');
  });
});

describe('the config of agent-ollama', () => {
  const answer = lines({ message: { content: 'Hi' }, done: true, done_reason: 'stop' });

  it.each<[what: string, options: object, asked: object, body: object]>([
    ['nothing', {}, {}, { think: undefined, keep_alive: undefined, options: {} }],
    ...[-1, 0, 300].map(
      (keepAlive) =>
        [`keepAlive ${keepAlive}`, { keepAlive }, {}, { keep_alive: keepAlive }] as [
          string,
          object,
          object,
          object,
        ],
    ),
    ...['-1', '0', '300'].map(
      (keepAlive) =>
        [`keepAlive "${keepAlive}"`, { keepAlive }, {}, { keep_alive: Number(keepAlive) }] as [
          string,
          object,
          object,
          object,
        ],
    ),
    ...['10m', '1h30m', '-1s', '1.5h', '0s'].map(
      (keepAlive) =>
        [`keepAlive "${keepAlive}"`, { keepAlive }, {}, { keep_alive: keepAlive }] as [
          string,
          object,
          object,
          object,
        ],
    ),
    ['keepAlive ""', { keepAlive: '' }, {}, { keep_alive: undefined }],
    ...[true, false, 'low', 'medium', 'high', 'max'].map(
      (think) => [`think ${think}`, { think }, {}, { think }] as [string, object, object, object],
    ),
    ['think "true"', { think: 'true' }, {}, { think: true }],
    ['think "false"', { think: 'false' }, {}, { think: false }],
    [
      'think, where a client wants otherwise',
      { think: 'high' },
      { reasoningEffort: 'none' },
      { think: false },
    ],
    ['numCtx', { numCtx: 8192 }, {}, { options: { num_ctx: 8192 } }],
    ['options', { options: { num_gpu: 20, top_k: 4 } }, {}, { options: { num_gpu: 20, top_k: 4 } }],
    ['both', { numCtx: 1, options: { num_ctx: 2, seed: 3 } }, {}, { options: { num_ctx: 1, seed: 3 } }],
    [
      'options, where a client wants otherwise',
      { options: { temperature: 1, seed: 3 } },
      { temperature: 0 },
      { options: { temperature: 0, seed: 3 } },
    ],
  ])('sends %s', async (_, options, asked, body) => {
    const server = await startScriptedServer({ body: answer });
    const agent = new OllamaAgent(
      config.parse({ baseUrl: server.url, headers: { 'X-Key': 'k' }, ...options }),
    );
    const { text } = await wholeAnswer(agent, { ...hello('m'), options: asked });
    await agent.health(new AbortController().signal);
    agent.close();
    await server.close();
    expect(text).toBe('Hi');
    for (const [name, value] of Object.entries(body)) expect(server.chats[0]?.body[name]).toEqual(value);
    expect(server.requests.length).toBeGreaterThan(1);
    for (const { headers } of server.requests) expect(headers['x-key']).toBe('k');
  });

  it.each<[what: string, options: object]>([
    ['a time without a unit that is known', { keepAlive: '10 minutes' }],
    ['a fraction without a unit', { keepAlive: '1.5' }],
    ['a unit that is none', { keepAlive: '10d' }],
    ['no number', { keepAlive: Number.NaN }],
    ['a level that is none', { think: 'very' }],
    ['no context', { numCtx: 0 }],
    ['half a context', { numCtx: 0.5 }],
    ['options that are a list', { options: [] }],
    ['a header of the connection', { headers: { connection: 'x' } }],
  ])('refuses %s', (_, options) => {
    expect(config.safeParse(options).error).toBeDefined();
  });
});
