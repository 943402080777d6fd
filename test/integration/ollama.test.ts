import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectAtOnce, roundTripMs } from '../support/at-once.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type RunningServer, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

let fake: FakeOllama;
let server: RunningServer;
let client: WsClient;

beforeAll(async () => {
  fake = await startFakeOllama();
  // A model server that a busy machine is slow to ask is not one that is down.
  const config = { plugins: { 'agent-queen': { config: { healthTimeoutMs: 10_000, busyTimeoutMs: 0 } } } };
  server = await startServer({ config, env: { OLLAMA_HOST: fake.url } });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  await fake.waitForOpenSockets(0);
  await fake.close();
});

/** The number of requests before the test. */
let earlier = 0;
beforeEach(async () => {
  earlier = fake.requests.length;
  client = await WsClient.connect(`${server.ws}/test`);
});
afterEach(() => client.socket.terminate());

const chatRecord = (what: (record: FakeOllama['requests'][number]) => boolean) =>
  fake.waitFor(
    (record) =>
      record.id > earlier && record.path === '/api/chat' && record.mode !== undefined && what(record),
  );

describe('with an Ollama server', () => {
  it.each(['normal', 'bytewise', 'bytewise?split=emoji', 'escapes', 'burst?n=5000'])(
    'every token of %s arrives unchanged and in order',
    async (model) => {
      const frames = await client.ask({ content: 'Hallo', model });
      expect(frames[0]).toMatchObject({ type: 'streaming_start', agent: 'ollama' });
      expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', agent: 'ollama' });
      expect(textOf(frames)).toBe(fake.expectedText(model));
    },
  );

  it('thinking comes in frames of its own', async () => {
    const frames = await client.ask({ content: 'Hallo', model: 'thinking' });
    const thoughts = frames
      .map((frame) => (frame.type === 'streaming_thinking' ? frame.content : ''))
      .join('');
    expect(thoughts).toBe(fake.expectedThinking('thinking'));
    expect(textOf(frames)).toBe(fake.expectedText('thinking'));
  });

  it.each(['reset', 'fin-cut', 'no-done', 'error-line', 'malformed'])(
    'killed in mid-stream (%s): what came is kept, then one error',
    async (model) => {
      const frames = await client.ask({ content: 'Hallo', model });
      expect(frames.at(-1)).toMatchObject({
        type: 'error',
        code: expect.stringMatching(/^AGENT_/),
        streamId: frames[0]?.streamId,
      });
      expect(frames.filter((frame) => frame.type === 'error')).toHaveLength(1);
      expect(textOf(frames)).not.toBe('');
      expect(fake.expectedText(model).startsWith(textOf(frames))).toBe(true);
      expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    },
  );

  it('at fault before the first token: its client is told, and no demonstration covers it up', async () => {
    const [start, error, ...rest] = await client.ask({
      content: 'Hallo',
      model: 'http-500',
      requestId: 'q1',
    });
    expect(start).toMatchObject({ type: 'streaming_start', agent: 'ollama' });
    const about = { requestId: 'q1', streamId: start?.streamId };
    expect(error).toMatchObject({ type: 'error', code: 'AGENT_FAILED', ...about });
    expect(rest).toEqual([]);
  });

  it('gone between two requests: their clients are told, and once it is back it answers', async () => {
    await client.ask({ content: 'Hallo' });
    const { port } = fake;
    await fake.close();
    for (let times = 0; times < 2; times++)
      expect((await client.ask({ content: 'Hallo' })).at(-1)).toMatchObject({
        type: 'error',
        code: expect.stringMatching(/^AGENT_(UNAVAILABLE|DISCONNECTED)$/),
      });
    fake = await startFakeOllama({ port });
    expect((await client.ask({ content: 'Hallo' }))[0]).toMatchObject({
      type: 'streaming_start',
      agent: 'ollama',
    });
  });

  it('a request that names the agent gets its error, not another agent', async () => {
    const frames = await client.ask({ content: 'Hallo', agent: 'ollama', model: 'http-503' });
    expect(frames.at(-1)).toMatchObject({
      type: 'error',
      code: 'AGENT_UNAVAILABLE',
      retryAfterMs: expect.any(Number),
    });
  });

  it('over HTTP an error before the first token has its status', async () => {
    const body = JSON.stringify({ content: 'x', user_id: 'u', agent: 'ollama', model: 'http-503' });
    for (const path of ['/chat', '/chat/stream']) {
      const response = await fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(await response.json()).toMatchObject({ error: { code: 'AGENT_UNAVAILABLE' } });
    }
    const unknown = await fetch(`${server.url}/chat/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ content: 'x', user_id: 'u', agent: 'nobody' }),
    });
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({
      error: { code: 'AGENT_UNKNOWN', requestId: expect.any(String) },
    });
  });

  it.each(['endless', 'silent', 'slow-headers?t=60000'])(
    'client gone for good: the socket to %s is closed at once',
    async (model) => {
      client.send({ type: 'stream_request', content: 'Hallo', model, onDisconnect: 'cancel' });
      await client.until((frame) => frame.type === 'streaming_start');
      await chatRecord(() => true);
      const base = await roundTripMs(`${server.url}/health`);
      const leftAt = performance.now();
      client.socket.terminate();
      const record = await chatRecord(({ atMs }) => atMs.peerClosed !== undefined);
      expect(record.endedBy).toBe('peer');
      expectAtOnce((record.atMs.peerClosed ?? Infinity) - leftAt, base);
    },
  );

  it.each(['/chat', '/chat/stream'])('HTTP client of %s gone: the socket is closed at once', async (path) => {
    const abort = new AbortController();
    const asked = fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        content: 'x',
        user_id: 'u',
        model: 'slow-tokens?ms=5&n=100000',
        on_disconnect: 'cancel',
      }),
      signal: abort.signal,
    }).then((response) => response.text());
    await chatRecord(({ atMs }) => atMs.firstByteSent !== undefined);
    const base = await roundTripMs(`${server.url}/health`);
    const leftAt = performance.now();
    abort.abort();
    await expect(asked).rejects.toThrow();
    const record = await chatRecord(({ atMs }) => atMs.peerClosed !== undefined);
    expectAtOnce((record.atMs.peerClosed ?? Infinity) - leftAt, base);
  });

  it('fifty streams at once, one client leaves: the others get every character', async () => {
    const model = 'slow-tokens?ms=2&n=40';
    const clients = await Promise.all(
      Array.from({ length: 50 }, (_, id) => WsClient.connect(`${server.ws}/many${id}`)),
    );
    const asked = clients.map((each) => each.ask({ content: 'Hallo', model }));
    await delay(10); // Anywhere in the middle will do.
    const leaver = asked[0]?.catch(() => []);
    clients[0]?.socket.terminate();
    const answers = await Promise.all(asked.slice(1));
    await leaver;
    for (const frames of answers) expect(textOf(frames)).toBe(fake.expectedText(model));
    for (const each of clients) each.socket.terminate();
  });
});
