import { request as httpRequestTo, type IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  expectedText,
  expectedThinking,
  expectedTokens,
  type FakeOllama,
  type FakeOllamaOptions,
  goJson,
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
        const text = Buffer.concat(pieces).toString();
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, text, pieces, lines: parseLines(text), errorCode });
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

/** Bounds of one answer; everything that is not named may be anything. */
interface Expected {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: object;
  /** The connection is cut before the end of the body. */
  readonly cut?: boolean;
  /** The content is that of the tokens of the model. */
  readonly whole?: boolean;
  /** The number of lines that are JSON objects. */
  readonly lines?: number;
  readonly last?: object;
  readonly text?: string | RegExp;
  readonly extra?: object;
}

const ndjson = 'application/x-ndjson';
const json = 'application/json; charset=utf-8';
const done = { done: true, done_reason: 'stop' };
const tools = [{ type: 'function', function: { name: 'search', parameters: {} } }];
const afterTool = [{ role: 'tool', content: '21 degrees', tool_name: 'get_weather' }];
const call = (index: number) => ({ function: { index, name: 'search', arguments: { q: 1 } } });

const answers: readonly (readonly [model: string, Expected])[] = [
  [
    'normal?n=30&seed=7',
    { status: 200, type: ndjson, whole: true, lines: 31, last: { ...done, eval_count: 30 } },
  ],
  ['normal', { headers: { 'transfer-encoding': 'chunked' }, whole: true, text: /\}\n$/ }],
  ['slow-headers?t=30&n=3', { whole: true }],
  ['early-headers?t=1&n=4', { whole: true, last: done }],
  ['slow-tokens?n=4&ms=5', { whole: true, lines: 5 }],
  ['bytewise?n=24', { whole: true, last: done, text: /🐝/ }],
  ['bytewise?n=24&split=emoji', { whole: true, last: done }],
  ['burst', { whole: true, lines: 1_001, headers: { 'transfer-encoding': 'chunked' } }],
  ['no-last-newline?n=2', { whole: true, last: done, text: /\}$/ }],
  ['escapes', { whole: true, last: done, text: /^[\0-\x7f]*$/ }],
  ['escapes', { text: /\\u003c.*\\u003e.*\\u0026[\s\S]*\\u2028\\u2029[\s\S]*\\ud83d\\ude00[\s\S]*\\u0000/ }],
  ['thinking?k=2&n=3', { whole: true, lines: 6, last: done }],
  ['thinking?k=2&n=3', { whole: true, lines: 4, text: /^((?!thinking":)[\s\S])*$/, extra: { think: false } }],
  [
    'tool-early',
    {
      lines: 2,
      last: done,
      text: /"id":"call_[a-z0-9]{8}","function":\{"index":0,"name":"get_weather","arguments":\{"city":"Rome"\}\}/,
    },
  ],
  ['tool-early', { whole: true, extra: { messages: afterTool } }],
  [
    'tool-late?id=0&calls=2&args={"q":1}',
    { lines: 1, last: { ...done, message: { tool_calls: [call(0), call(1)] } }, extra: { tools } },
  ],
  [
    'done-text?n=3',
    { whole: true, lines: 3, last: { done: true, message: { content: expectedTokens('done-text?n=3')[2] } } },
  ],
  ['length?n=1', { whole: true, last: { done: true, done_reason: 'length' } }],

  ['reset?k=3&ms=5', { cut: true, lines: 3 }],
  ['fin-cut?k=2', { cut: true, lines: 2 }],
  ['no-done?k=2', { lines: 2, last: { done: false } }],
  ['no-done?k=0', { status: 200, text: '', headers: { 'content-length': '0' } }],
  ['half-line?k=2', { lines: 2, text: /\n\{"model":[^\n]*[^}\n]$/ }],
  ['done-reason-only?k=1', { last: { done: false, done_reason: 'stop' } }],
  [
    'error-line?k=2',
    {
      status: 200,
      lines: 3,
      last: { error: 'an error was encountered while running the model: unexpected EOF' },
    },
  ],
  ['error-line?k=0&object=1&text=oops', { text: '{"error":{"message":"oops","code":"runner"}}\n' }],
  ['malformed?k=2&n=4', { whole: true, lines: 5, text: /^([^\n]+\n){2}[^\n]*fal\}\n([^\n]+\n){3}$/ }],
  ['odd-lines?k=1&n=3', { text: /^[^\n]+\n\n[^\n]+\r\nnull\n\[1,2\]\n42\n/ }],
  ['odd-lines?kind=blank,crlf&n=3&k=1', { whole: true, last: done, text: /^((?!null)[\s\S])*$/ }],
  ['huge-line', { lines: 0, text: /x{1048576}$/ }],
  ['huge-line?bytes=100000&whole=1', { lines: 2, last: done, text: /"x{100000}"/ }],
  ['bad-utf8?k=1&n=2', { last: done, text: /\ufffd\(\ufffd/ }],

  ['error-first', { status: 500, type: json, text: /^\{"error":"model runner has unexpectedly stopped/ }],
  ['http-404', { status: 404, type: json, text: `{"error":"model 'http-404' not found"}` }],
  ['http-400', { status: 400, text: '{"error":"\\"http-400\\" does not support chat"}' }],
  ['http-429?retry=3', { status: 429, headers: { 'retry-after': '3' } }],
  ['http-429', { status: 429, headers: { 'retry-after': undefined } }],
  [
    'http-503',
    { status: 503, text: '{"error":"server busy, please try again.  maximum pending requests exceeded"}' },
  ],
  ['http-502-html', { status: 502, type: 'text/html', text: /<h1>502 Bad Gateway<\/h1>/ }],
  ['http-403-empty', { status: 403, text: '', headers: { 'content-type': undefined } }],
  ['http-401-ndjson', { status: 401, type: ndjson, text: /"signin_url":"https:/ }],
  ['html-200', { status: 200, type: 'text/html; charset=utf-8' }],
  ['redirect?to=/elsewhere', { status: 302, headers: { location: '/elsewhere' } }],
];

describe('fake Ollama modes', () => {
  it.each(answers)(
    '%s',
    async (model, { status, type, headers = {}, cut = false, whole, lines, last, text, extra }) => {
      const answer = await chat(model, extra);
      expect(answer.errorCode).toBe(cut ? 'ECONNRESET' : undefined);
      expect(answer.status).toBe(status ?? 200);
      if (type) expect(answer.headers['content-type']).toBe(type);
      for (const [name, value] of Object.entries(headers)) expect(answer.headers[name]).toBe(value);
      if (whole) expect(textOf(answer.lines)).toBe(expectedText(model));
      if (lines !== undefined) expect(answer.lines).toHaveLength(lines);
      if (last) expect(answer.lines.at(-1)).toMatchObject(last);
      if (typeof text === 'string') expect(answer.text).toBe(text);
      else if (text) expect(answer.text).toMatch(text);
    },
  );

  it('has each of them in a test', () => {
    const own = ['silent', 'stall', 'not-http', 'endless', 'done-open', 'stale-keepalive'];
    expect(new Set([...answers.map(([model]) => model.split('?')[0]), ...own])).toEqual(new Set(modeNames));
  });

  it('writes the keys of a line in the order of Ollama', async () => {
    const { lines } = await chat('normal?n=1');
    const first = ['model', 'created_at', 'message', 'done'];
    const all = [...first, 'done_reason', 'prompt_eval_count', 'eval_count'];
    expect(lines.map((line) => Object.keys(line))).toEqual([first, all]);
  });

  it('thinking: thoughts in lines of their own, the last one in a line with content', async () => {
    const model = 'thinking?k=2&n=3';
    const { lines } = await chat(model);
    expect(lines.map((line) => line.message.thinking ?? '').join('')).toBe(expectedThinking(model));
    expect(lines.slice(0, 3).map((line) => line.message.content)).toEqual(['', '', expectedTokens(model)[0]]);
    expect(lines[2]?.message.thinking).toBeTruthy();
  });

  it('bytewise: one byte a piece, or only wide characters cut', async () => {
    const { pieces } = await chat('bytewise?n=24');
    expect(pieces.every((piece) => piece.length === 1)).toBe(true);
    const cut = await chat('bytewise?n=24&split=emoji');
    expect(cut.pieces.length).toBeLessThan(pieces.length);
    const long = cut.pieces.filter((piece) => piece.length > 1);
    expect(long.every((piece) => piece.every((byte) => byte < 128))).toBe(true);
  });

  it('slow-headers: headers together with the first token', async () => {
    await chat('slow-headers?t=30&n=3');
    const { atMs } = fake.requests[0]!;
    expect(atMs.firstByteSent! - atMs.requestReceived).toBeGreaterThanOrEqual(28);
  });

  it('early-headers: headers before the first token', async () => {
    const client = await rawChat('early-headers?t=60000');
    const head = await client.waitFor(() => parseResponseHead(client.bytes));
    expect(head.headers['content-type']).toBe(ndjson);
    expect(fake.requests[0]?.atMs.firstByteSent).toBeUndefined();
  });

  it.each([
    ['silent', 0],
    ['stall?k=3', 3],
  ])('%s: %i lines and an open connection', async (model, lines) => {
    const client = await rawChat(model);
    await fake.waitFor((record) => record.mode !== undefined && record.lines === lines);
    await client.close();
    const record = await fake.waitFor((one) => one.endedBy === 'peer');
    expect(record).toMatchObject({ lines, finished: false });
    expect(client.byteCount > 0).toBe(lines > 0);
  });

  it('reset: half a line and RST', async () => {
    const client = await rawChat('reset?k=1&mid=1&ms=5');
    expect(await client.closed).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    expect(client.text).toMatch(/"done":false\}\n\r\n[0-9a-f]+\r\n\{"model":[^}]*\r\n$/);
    expect(fake.requests[0]?.endedBy).toBe('fake');
  });

  it('fin-cut: FIN without the end of the body', async () => {
    const client = await rawChat('fin-cut?k=2');
    expect(await client.closed).toEqual({ ended: true, errorCode: undefined });
    expect(client.text).not.toContain('\r\n0\r\n\r\n');
  });

  it('not-http: the greeting of another protocol', async () => {
    const client = await rawChat('not-http');
    expect((await client.waitForEnd()).toString('latin1')).toMatch(/^SSH-2\.0-/);
  });

  it('endless: tokens until the peer leaves', async () => {
    const client = await rawChat('endless');
    await fake.waitFor((record) => record.lines > 100);
    await client.close();
    const record = await fake.waitFor((one) => one.atMs.peerClosed !== undefined);
    expect(record).toMatchObject({ endedBy: 'peer', finished: false });
    expect(textOf(parseLines(client.text)).startsWith(expectedText('endless?n=20'))).toBe(true);
  });

  it('done-open: more after the end, and an open connection', async () => {
    const client = await rawChat('done-open?n=1&more=2&junk=1');
    const text = await client.waitForText('\0junk}');
    expect(text.match(/"done":true/g)).toHaveLength(1);
    expect(text.match(/too late/g)).toHaveLength(2);
    expect(text).not.toContain('\r\n0\r\n\r\n');
    expect(client.ended).toBe(false);
  });

  it('stale-keepalive: an answer, and nothing for the next request on its connection', async () => {
    const model = 'stale-keepalive?n=1';
    const client = await rawChat(model);
    await client.waitForText('\r\n0\r\n\r\n');
    const before = client.byteCount;
    await client.send(chatBytes(model));
    expect(await client.closed).toEqual({ ended: true, errorCode: undefined });
    expect(client.byteCount).toBe(before);
    const record = await fake.waitFor((one) => one.position === 2);
    expect(record).toMatchObject({ connection: 1, endedBy: 'fake', finished: false, bytes: 0 });
    expect(textOf((await chat(model)).lines)).toBe(expectedText(model));
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
    const { requestReceived, firstByteSent, peerClosed } = first!.atMs;
    const times = [requestReceived, firstByteSent!, peerClosed!];
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
