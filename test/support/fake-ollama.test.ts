import { request as httpRequestTo, type IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  expectedText,
  expectedThinking,
  expectedTokens,
  type FakeOllama,
  type FakeOllamaOptions,
  goJson,
  type ModeName,
  modeNames,
  startFakeOllama,
} from './fake-ollama/index.js';
import { type LeakCheck, leakCheck } from './leaks.js';
import { httpRequest, parseResponseHead, RawClient } from './raw-client.js';

interface Line {
  readonly model: string;
  readonly created_at: string;
  readonly message: { readonly content: string; readonly thinking?: string; readonly tool_calls?: unknown[] };
  readonly done: boolean;
  readonly done_reason?: string;
  readonly eval_count?: number;
  readonly error?: unknown;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  readonly pieces: readonly Buffer[];
  readonly lines: readonly Line[];
  /** Code of the error that cut the body off. */
  readonly errorCode: string | undefined;
}

let fake: FakeOllama;
let leaks: LeakCheck;
const clients: RawClient[] = [];
const more: FakeOllama[] = [];

beforeEach(async () => {
  leaks = leakCheck();
  fake = await startFakeOllama();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const other of [fake, ...more.splice(0)]) await other.close();
  await leaks.settled();
});

async function another(options: FakeOllamaOptions): Promise<FakeOllama> {
  const other = await startFakeOllama(options);
  more.push(other);
  return other;
}

function parseLines(text: string): Line[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}

/** A whole HTTP exchange on a connection of its own. */
function send(method: string, path: string, body?: unknown, target = fake): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequestTo({ port: target.port, host: '127.0.0.1', method, path, agent: false });
    let errorCode: string | undefined;
    let hasHead = false;
    request.on('error', (error: NodeJS.ErrnoException) => {
      errorCode = error.code;
      // After the head has come the close of the response tells.
      if (!hasHead) reject(error);
    });
    request.on('response', (response) => {
      hasHead = true;
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', (error: NodeJS.ErrnoException) => {
        errorCode = error.code;
      });
      response.on('close', () => {
        const whole = Buffer.concat(pieces);
        const text = whole.toString();
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: whole, text, pieces, lines: parseLines(text), errorCode });
      });
    });
    request.end(typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body));
  });
}

function chat(model: string, extra: object = {}, target = fake): Promise<Answer> {
  return send('POST', '/api/chat', { model, messages: [{ role: 'user', content: 'Hi' }], ...extra }, target);
}

function chatBytes(model: string, extra: object = {}): Buffer {
  const body = { model, messages: [{ role: 'user', content: 'Hi' }], ...extra };
  return httpRequest({ path: '/api/chat', body });
}

/** The same on a raw connection, which stays open. */
async function rawChat(model: string, extra: object = {}): Promise<RawClient> {
  const client = await RawClient.connect(fake.port);
  clients.push(client);
  await client.send(chatBytes(model, extra));
  return client;
}

function textOf(lines: readonly Line[]): string {
  return lines.map((line) => line.message?.content ?? '').join('');
}

function ofModel(model: string): (record: { model: string | undefined }) => boolean {
  return (record) => record.model === model;
}

/** One proof per mode of what is on the wire. */
const wire: Record<ModeName, () => Promise<void>> = {
  async normal() {
    const model = 'normal?n=30&seed=7';
    const { status, headers, text, lines } = await chat(model);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/x-ndjson');
    expect(headers['transfer-encoding']).toBe('chunked');
    expect(lines).toHaveLength(31);
    expect(textOf(lines)).toBe(expectedText(model));
    expect(lines.slice(0, -1).map((line) => line.message.content)).toEqual(expectedTokens(model));
    expect(text.endsWith('}\n')).toBe(true);
    const last = lines.at(-1)!;
    expect(Object.keys(last)).toEqual([
      'model',
      'created_at',
      'message',
      'done',
      'done_reason',
      'prompt_eval_count',
      'eval_count',
    ]);
    expect(last).toMatchObject({ model, done: true, done_reason: 'stop', eval_count: 30 });
    expect(Object.keys(lines[0]!)).toEqual(['model', 'created_at', 'message', 'done']);
  },

  async 'slow-headers'() {
    const model = 'slow-headers?t=30&n=3';
    expect(textOf((await chat(model)).lines)).toBe(expectedText(model));
    const { atMs } = await fake.waitFor(ofModel(model));
    expect(atMs.headersSent! - atMs.requestReceived).toBeGreaterThanOrEqual(28);
    expect(atMs.headersSent).toBe(atMs.firstByteSent);
  },

  async silent() {
    const client = await rawChat('silent');
    await fake.waitFor((record) => record.mode === 'silent');
    await client.close();
    const record = await fake.waitFor((one) => one.endedBy === 'peer');
    expect(record).toMatchObject({ bytes: 0, finished: false, atMs: { headersSent: undefined } });
    expect(client.byteCount).toBe(0);
  },

  async 'early-headers'() {
    const client = await rawChat('early-headers?t=60000');
    const head = await client.waitFor(() => parseResponseHead(client.bytes));
    expect(head.headers['content-type']).toBe('application/x-ndjson');
    const record = await fake.waitFor((one) => one.atMs.headersSent !== undefined);
    expect(record.atMs.firstByteSent).toBeUndefined();
    const model = 'early-headers?t=1&n=4';
    expect(textOf((await chat(model)).lines)).toBe(expectedText(model));
  },

  async 'slow-tokens'() {
    const model = 'slow-tokens?n=4&ms=5';
    const { lines, pieces } = await chat(model);
    expect(textOf(lines)).toBe(expectedText(model));
    expect(pieces.length).toBe(5);
  },

  async stall() {
    const model = 'stall?k=3';
    const client = await rawChat(model);
    await fake.waitFor((one) => one.lines === 3);
    await client.waitForText(JSON.stringify(expectedTokens(model).at(-1)).slice(1, -1));
    expect(expectedTokens(model)).toHaveLength(3);
    await client.close();
    expect(await fake.waitFor((one) => one.endedBy === 'peer')).toMatchObject({
      lines: 3,
      finished: false,
    });
  },

  async reset() {
    const { lines, errorCode } = await chat('reset?k=3&ms=5');
    expect(lines).toHaveLength(3);
    expect(errorCode).toBe('ECONNRESET');
    const client = await rawChat('reset?k=1&mid=1&ms=5');
    expect(await client.closed).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    expect(client.text).toMatch(/"done":false\}\n\r\n[0-9a-f]+\r\n\{"model":[^}]*\r\n$/);
    expect(fake.requests.map((record) => record.endedBy)).toEqual(['fake', 'fake']);
  },

  async 'fin-cut'() {
    const client = await rawChat('fin-cut?k=2');
    expect(await client.closed).toEqual({ ended: true, errorCode: undefined });
    expect(client.text).not.toContain('\r\n0\r\n\r\n');
    expect((await chat('fin-cut?k=2')).errorCode).toBe('ECONNRESET');
  },

  async 'no-done'() {
    const { lines, errorCode } = await chat('no-done?k=2');
    expect(errorCode).toBeUndefined();
    expect(lines.map((line) => line.done)).toEqual([false, false]);
    expect(await chat('no-done?k=0')).toMatchObject({
      status: 200,
      text: '',
      headers: { 'content-length': '0' },
    });
  },

  async 'half-line'() {
    const { text, lines, errorCode } = await chat('half-line?k=2');
    expect(errorCode).toBeUndefined();
    expect(lines).toHaveLength(2);
    expect(text.split('\n').at(-1)).toMatch(/^\{"model":.*[^}]$/);
  },

  async 'done-reason-only'() {
    const { lines, errorCode } = await chat('done-reason-only?k=1');
    expect(errorCode).toBeUndefined();
    expect(lines.at(-1)).toMatchObject({ done: false, done_reason: 'stop' });
  },

  async 'error-line'() {
    const answer = await chat('error-line?k=2');
    expect(answer.status).toBe(200);
    expect(answer.lines.at(-1)).toEqual({
      error: 'an error was encountered while running the model: unexpected EOF',
    });
    expect(answer.text.endsWith('}\n')).toBe(true);
    const object = await chat('error-line?k=0&object=1&text=oops');
    expect(object.text).toBe('{"error":{"message":"oops","code":"runner"}}\n');
  },

  async 'error-first'() {
    const { status, headers, lines } = await chat('error-first');
    expect(status).toBe(500);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(lines[0]?.error).toMatch(/^model runner has unexpectedly stopped/);
  },

  async malformed() {
    const model = 'malformed?k=2&n=4';
    const { text, lines } = await chat(model);
    const all = text.trimEnd().split('\n');
    expect(all).toHaveLength(6);
    expect(() => JSON.parse(all[2]!)).toThrow(SyntaxError);
    expect(textOf(lines)).toBe(expectedText(model));
  },

  async 'odd-lines'() {
    const all = (await chat('odd-lines?k=1&n=3')).text.split('\n');
    expect(all[1]).toBe('');
    expect(all[2]).toMatch(/"done":false\}\r$/);
    expect(all.slice(3, 6)).toEqual(['null', '[1,2]', '42']);
    const accepted = 'odd-lines?kind=blank,crlf&n=3&k=1';
    const { text, lines } = await chat(accepted);
    expect(text).not.toContain('null');
    expect(textOf(lines)).toBe(expectedText(accepted));
  },

  async 'huge-line'() {
    const { body, errorCode } = await chat('huge-line');
    expect(errorCode).toBeUndefined();
    expect(body.length).toBeGreaterThan(1_048_576);
    expect(body.includes('\n')).toBe(false);
    const { lines } = await chat('huge-line?bytes=100000&whole=1');
    expect(lines[0]?.message.content).toBe('x'.repeat(100_000));
    expect(lines[1]?.done).toBe(true);
  },

  async bytewise() {
    const model = 'bytewise?n=24';
    const { pieces, lines } = await chat(model);
    expect(pieces.every((piece) => piece.length === 1)).toBe(true);
    expect(textOf(lines)).toBe(expectedText(model));
    expect(expectedText(model)).toContain('🐝');
    const cut = await chat('bytewise?n=24&split=emoji');
    expect(textOf(cut.lines)).toBe(expectedText(model));
    expect(
      cut.pieces.filter((piece) => piece.length > 1).every((piece) => piece.every((byte) => byte < 128)),
    ).toBe(true);
    expect(cut.pieces.length).toBeLessThan(pieces.length);
  },

  async 'bad-utf8'() {
    const { body, lines } = await chat('bad-utf8?k=1&n=2');
    expect(body.includes(Buffer.of(0xc3, 0x28, 0xff))).toBe(true);
    expect(() => new TextDecoder('utf-8', { fatal: true }).decode(body)).toThrow(TypeError);
    expect(lines.at(-1)?.done).toBe(true);
  },

  async burst() {
    const { lines, headers } = await chat('burst');
    expect(lines).toHaveLength(1_001);
    expect(textOf(lines)).toBe(expectedText('burst'));
    expect(headers['transfer-encoding']).toBe('chunked');
    expect(await fake.waitFor((record) => record.finished)).toMatchObject({ lines: 1_001 });
  },

  async 'no-last-newline'() {
    const { text, lines } = await chat('no-last-newline?n=2');
    expect(text.endsWith('}')).toBe(true);
    expect(lines.at(-1)?.done).toBe(true);
  },

  async escapes() {
    const { text, lines, body } = await chat('escapes');
    for (const written of [
      '\\u003c',
      '\\u003e',
      '\\u0026',
      '\\u2028',
      '\\u2029',
      '\\ud83d\\ude00',
      '\\u0000',
    ]) {
      expect(text).toContain(written);
    }
    expect(body.every((byte) => byte < 0x80)).toBe(true);
    expect(textOf(lines)).toBe(expectedText('escapes'));
    expect(textOf(lines)).toContain('<b>&amp;</b> \u2028\u2029 😀 a\0b');
  },

  async thinking() {
    const model = 'thinking?k=2&n=3';
    const { lines } = await chat(model);
    expect(lines.map((line) => line.message.thinking ?? '').join('')).toBe(expectedThinking(model));
    expect(textOf(lines)).toBe(expectedText(model));
    expect(lines.slice(0, 2).map((line) => line.message.content)).toEqual(['', '']);
    expect(lines[2]?.message.thinking).toBeTruthy();
    expect(lines[2]?.message.content).toBe(expectedTokens(model)[0]);
    const { lines: plain } = await chat(model, { think: false });
    expect(plain.some((line) => line.message.thinking !== undefined)).toBe(false);
  },

  async 'tool-early'() {
    const { lines } = await chat('tool-early');
    expect(lines).toMatchObject([
      {
        done: false,
        message: {
          tool_calls: [
            {
              id: expect.stringMatching(/^call_[a-z0-9]{8}$/),
              function: { index: 0, name: 'get_weather', arguments: { city: 'Rome' } },
            },
          ],
        },
      },
      { done: true, done_reason: 'stop' },
    ]);
    const messages = [{ role: 'tool', content: '21 degrees', tool_name: 'get_weather' }];
    expect(textOf((await chat('tool-early', { messages })).lines)).toBe(expectedText('tool-early'));
  },

  async 'tool-late'() {
    const tools = [{ type: 'function', function: { name: 'search', parameters: {} } }];
    const { lines } = await chat('tool-late?id=0&calls=2&args={"q":1}', { tools });
    expect(lines).toMatchObject([{ done: true, done_reason: 'stop' }]);
    expect(lines[0]?.message.tool_calls).toEqual([
      { function: { index: 0, name: 'search', arguments: { q: 1 } } },
      { function: { index: 1, name: 'search', arguments: { q: 1 } } },
    ]);
  },

  async 'done-text'() {
    const model = 'done-text?n=3';
    const { lines } = await chat(model);
    expect(lines).toHaveLength(3);
    expect(lines.at(-1)).toMatchObject({ done: true, message: { content: expectedTokens(model)[2] } });
    expect(textOf(lines)).toBe(expectedText(model));
  },

  async length() {
    expect((await chat('length?n=1')).lines.at(-1)).toMatchObject({ done: true, done_reason: 'length' });
  },

  async 'http-404'() {
    const { status, headers, text } = await chat('http-404');
    expect(status).toBe(404);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(text).toBe(`{"error":"model 'http-404' not found"}`);
  },

  async 'http-400'() {
    expect(await chat('http-400')).toMatchObject({
      status: 400,
      text: '{"error":"\\"http-400\\" does not support chat"}',
    });
  },

  async 'http-429'() {
    const { status, headers } = await chat('http-429?retry=3');
    expect(status).toBe(429);
    expect(headers).toMatchObject({ 'retry-after': '3' });
    expect((await chat('http-429')).headers['retry-after']).toBeUndefined();
  },

  async 'http-503'() {
    expect(await chat('http-503')).toMatchObject({
      status: 503,
      text: '{"error":"server busy, please try again.  maximum pending requests exceeded"}',
    });
  },

  async 'http-502-html'() {
    const { status, headers, text } = await chat('http-502-html');
    expect(status).toBe(502);
    expect(headers['content-type']).toBe('text/html');
    expect(text).toContain('<h1>502 Bad Gateway</h1>');
  },

  async 'http-403-empty'() {
    const { status, headers, text } = await chat('http-403-empty');
    expect([status, text, headers['content-type']]).toEqual([403, '', undefined]);
  },

  async 'http-401-ndjson'() {
    const { status, headers, lines } = await chat('http-401-ndjson');
    expect(status).toBe(401);
    expect(headers['content-type']).toBe('application/x-ndjson');
    expect(lines[0]).toMatchObject({
      error: 'unauthorized',
      signin_url: expect.stringContaining('https://'),
    });
  },

  async 'html-200'() {
    const { status, headers } = await chat('html-200');
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  },

  async redirect() {
    const { status, headers } = await chat('redirect?to=/elsewhere');
    expect([status, headers.location]).toEqual([302, '/elsewhere']);
  },

  async 'not-http'() {
    const client = await rawChat('not-http');
    expect((await client.waitForEnd()).toString('latin1')).toMatch(/^SSH-2\.0-/);
  },

  async endless() {
    const client = await rawChat('endless');
    await fake.waitFor((record) => record.lines > 100);
    await client.close();
    const record = await fake.waitFor((one) => one.atMs.peerClosed !== undefined);
    expect(record).toMatchObject({ endedBy: 'peer', finished: false });
    expect(textOf(parseLines(client.text)).startsWith(expectedText('endless?n=20'))).toBe(true);
  },

  async 'done-open'() {
    const client = await rawChat('done-open?n=1&more=2&junk=1');
    const text = await client.waitForText('\0junk}');
    expect(text.match(/"done":true/g)).toHaveLength(1);
    expect(text.match(/too late/g)).toHaveLength(2);
    expect(text).not.toContain('\r\n0\r\n\r\n');
    expect(client.ended).toBe(false);
    await client.close();
    expect(await fake.waitFor((one) => one.endedBy === 'peer')).toMatchObject({ finished: false });
  },

  async 'stale-keepalive'() {
    const model = 'stale-keepalive?n=1';
    const client = await rawChat(model);
    await client.waitForText('\r\n0\r\n\r\n');
    expect(client.ended).toBe(false);
    const before = client.byteCount;
    await client.send(chatBytes(model));
    expect(await client.closed).toEqual({ ended: true, errorCode: undefined });
    expect(client.byteCount).toBe(before);
    const record = await fake.waitFor((one) => one.position === 2);
    expect(record).toMatchObject({ connection: 1, endedBy: 'fake', finished: false, bytes: 0 });
    expect(textOf((await chat(model)).lines)).toBe(expectedText(model));
  },
};

describe('fake Ollama modes', () => {
  it.each(modeNames)('%s', async (mode) => {
    await wire[mode]();
  });
});

describe('fake Ollama protocol', () => {
  it('answers a plain installed model as normal, with or without a tag', async () => {
    for (const model of ['llama3.2', 'llama3.2:latest']) {
      const { lines } = await chat(model);
      expect(textOf(lines)).toBe(expectedText(model));
      expect(lines.every((line) => line.model === model)).toBe(true);
    }
    expect(fake.requests.map((record) => record.mode)).toEqual(['normal', 'normal']);
  });

  it('thinks by default on a model that can', async () => {
    const { lines } = await chat('qwen3');
    expect(lines.some((line) => line.message.thinking !== undefined)).toBe(true);
    expect(textOf(lines)).toBe(expectedText('qwen3'));
  });

  it('sends the headers together with the first line and stays on the connection', async () => {
    const client = await rawChat('stall?k=1');
    await client.waitForText('"done":false');
    expect(client.chunks).toHaveLength(1);
    const { headers } = parseResponseHead(client.bytes)!;
    expect(Object.keys(headers).sort()).toEqual(['content-type', 'date', 'transfer-encoding']);
  });

  it('escapes JSON as Go does', () => {
    expect(goJson({ a: '<&>\u2028\u2029', b: 'ü🐝', c: '\ud800x', d: undefined })).toBe(
      '{"a":"\\u003c\\u0026\\u003e\\u2028\\u2029","b":"ü🐝","c":"\ufffdx"}',
    );
  });

  it('lists its models and names its version', async () => {
    const tags = JSON.parse((await send('GET', '/api/tags')).text) as { models: Record<string, unknown>[] };
    expect(tags.models.map((model) => model.name)).toContain('llama3.2:latest');
    expect(tags.models[0]?.name).toBe(tags.models[0]?.model);
    expect((await send('GET', '/api/version')).text).toMatch(/^\{"version":"\d+\.\d+\.\d+"\}$/);
  });

  const messages = [{ role: 'user', content: 'Hi' }];
  const tools = [{ type: 'function', function: { name: 'f' } }];
  it.each<[object | string, number, string]>([
    ['{"model":', 400, 'unexpected EOF'],
    [{ messages }, 400, 'model is required'],
    [{ model: 'x', messages }, 404, "model 'x' not found"],
    [{ model: 'llama3.2', messages, think: true }, 400, '"llama3.2" does not support thinking'],
    [{ model: 'nomic-embed-text', messages }, 400, '"nomic-embed-text" does not support chat'],
    [
      { model: 'gemma2:2b', messages, tools },
      400,
      'registry.ollama.ai/library/gemma2:2b does not support tools',
    ],
  ])('%j gives %i', async (body, status, error) => {
    const answer = await send('POST', '/api/chat', body);
    expect(answer.status).toBe(status);
    expect(answer.text).toBe(JSON.stringify({ error }));
  });

  it('has nothing anywhere else', async () => {
    expect(await send('GET', '/nothing')).toMatchObject({ status: 404, text: '404 page not found' });
  });
});

describe('fake Ollama as a fixture', () => {
  it('sends the tokens and lists the models it was given', async () => {
    const tokens = ['one', ' two', ' 🐝'];
    const other = await another({ tokens, models: ['mine', 'stall?k=1'] });
    expect(textOf((await chat('mine', {}, other)).lines)).toBe('one two 🐝');
    expect(other.expectedText('normal?n=4')).toBe('one two 🐝one');
    expect(other.expectedTokens('stall?k=2')).toEqual(['one', ' two']);
    const tags = JSON.parse((await send('GET', '/api/tags', undefined, other)).text) as {
      models: { name: string }[];
    };
    expect(tags.models.map((model) => model.name)).toEqual(['mine:latest', 'stall?k=1']);
    expect((await chat('llama3.2', {}, other)).status).toBe(404);
  });

  it('gives the same tokens for a seed, others for another', () => {
    expect(expectedText('normal?seed=5')).toBe(expectedText('stall?k=24&seed=5'));
    expect(expectedText('normal?seed=5')).not.toBe(expectedText('normal?seed=6'));
  });

  it('records connections, positions, bodies and times', async () => {
    const model = 'normal?n=2';
    const client = await rawChat(model);
    await client.waitForText('\r\n0\r\n\r\n');
    await client.send(httpRequest({ path: '/api/tags' }));
    await client.waitForText('llama3.2:latest');
    await chat(model);
    await client.close();
    await fake.waitForOpenSockets(0);
    expect(
      fake.requests.map(({ id, path, connection, position }) => [id, path, connection, position]),
    ).toEqual([
      [1, '/api/chat', 1, 1],
      [2, '/api/tags', 1, 2],
      [3, '/api/chat', 2, 1],
    ]);
    const [first] = fake.requests;
    expect(first).toMatchObject({ model, mode: 'normal', lines: 3, finished: true, endedBy: 'fake' });
    expect(first?.body).toMatchObject({ model, messages: [{ content: 'Hi' }] });
    const { requestReceived, headersSent, firstByteSent, lastByteSent, peerClosed } = first!.atMs;
    const times = [requestReceived, headersSent!, firstByteSent!, lastByteSent!, peerClosed!];
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('cuts a request off at its deadline', async () => {
    const other = await another({ deadlineMs: 20 });
    await expect(chat('silent', {}, other)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await other.waitFor((record) => record.endedBy === 'deadline')).toMatchObject({ finished: false });
  });

  it('waitFor gives up after its bound, and when the fake closes', async () => {
    await expect(fake.waitFor(() => false, 10)).rejects.toThrow('not within 10 ms: a matching record');
    const waiting = expect(fake.waitFor(() => false)).rejects.toThrow('the fake was closed');
    await fake.close();
    await waiting;
  });

  it('close ends every open answer', async () => {
    const open = ['silent', 'stall?k=1', 'endless', 'slow-headers?t=60000'];
    const sockets = await Promise.all(open.map((model) => rawChat(model)));
    for (const model of open)
      await fake.waitFor((record) => record.model === model && record.mode !== undefined);
    expect(fake.openSockets).toBe(open.length);
    await fake.close();
    expect(fake.openSockets).toBe(0);
    for (const socket of sockets) await socket.closed;
    expect(fake.requests.every((record) => record.endedBy === 'fake')).toBe(true);
  });

  it('stops producing while the peer does not read', async () => {
    const client = await rawChat('huge-line?bytes=200000000');
    await client.waitForText('xxx');
    client.pause();
    const bytesNow = (): number => fake.requests[0]?.bytes ?? 0;
    let [before, idleTurns] = [bytesNow(), 0];
    // The kernel's buffers fill up first; then nothing moves any more.
    while (idleTurns < 200) {
      await new Promise((resolve) => setImmediate(resolve));
      idleTurns = bytesNow() === before ? idleTurns + 1 : 0;
      before = bytesNow();
    }
    client.resume();
    await fake.waitFor((record) => record.bytes > before);
  });
});
