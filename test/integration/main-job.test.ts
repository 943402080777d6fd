import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ alone: true });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('a stranger, with no model installed,', () => {
  it('opens a WebSocket, asks, and reads an answer token by token', async () => {
    const client = await WsClient.connect(`${server.ws}/test`);
    client.send('{"type":"stream_request","content":"Hallo"}');
    await client.until((frame) => frame.type === 'streaming_end');
    const { frames } = client;
    expect(frames[0]).toMatchObject({
      type: 'streaming_start',
      agent: 'eliza',
      conversationId: expect.any(String),
    });
    expect(frames.filter((frame) => frame.type === 'streaming_token').length).toBeGreaterThanOrEqual(2);
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', reason: 'stop', agent: 'eliza' });
    expect(new Set(frames.map((frame) => frame.streamId)).size).toBe(1);
    expect(frames[0]?.streamId).toBeTypeOf('string');
    await client.close();
  });

  it('posts to /chat as curl does, without a content type of JSON', async () => {
    const response = await post('/chat', '{"content":"Hallo","user_id":"test"}', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      response: expect.stringMatching(/\S+ \S+/),
      agent: 'eliza',
      conversation_id: expect.any(String),
      usage: { inputTokens: expect.any(Number), outputTokens: expect.any(Number) },
    });
  });

  it('posts to /chat/stream and reads Server-Sent Events whose ids are positions', async () => {
    const response = await post('/chat/stream', { content: 'Hallo', user_id: 'test' });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    const events = (await response.text())
      .split('\n\n')
      .filter(Boolean)
      .map((event) => Object.fromEntries(event.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2))));
    const frames = events.map((event) => JSON.parse(event.data));
    expect(frames.map((frame) => frame.type)).toEqual(events.map((event) => event.event));
    expect(frames[0]?.type).toBe('streaming_start');
    expect(frames.at(-1)?.type).toBe('streaming_end');
    expect(Number(events.at(-1)?.id)).toBe(textOf(frames).length);
  });

  it('posts to /chat/stream and reads lines of JSON', async () => {
    const response = await post(
      '/chat/stream',
      { content: 'Hallo', user_id: 'test' },
      { accept: 'application/x-ndjson' },
    );
    expect(response.headers.get('content-type')).toMatch(/^application\/x-ndjson/);
    const frames = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(frames[0]?.type).toBe('streaming_start');
    expect(frames.at(-1)?.type).toBe('streaming_end');
    expect(textOf(frames)).toMatch(/\S+ \S+/);
  });

  it('looks around', async () => {
    const get = async (path: string) => {
      const response = await fetch(`${server.url}${path}`);
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    expect(await get('/')).toEqual({
      status: 200,
      body: {
        message: 'Chat Backend API',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        endpoints: expect.objectContaining({
          chat: '/chat',
          chat_stream: '/chat/stream',
          websocket: '/ws/{client_id}',
          docs: '/docs',
        }),
      },
    });
    expect(await get('/health')).toMatchObject({
      status: 200,
      body: { status: 'ok', uptimeMs: expect.any(Number) },
    });
    expect(await get('/ready')).toMatchObject({ status: 200, body: { status: 'ready' } });
    const { body } = await get('/agents');
    expect(body.agents).toEqual([
      expect.objectContaining({ name: 'queen', healthy: true }),
      expect.objectContaining({
        name: 'ollama',
        healthy: false,
        detail: expect.stringContaining('OLLAMA_HOST'),
      }),
      expect.objectContaining({ name: 'eliza', healthy: true }),
    ]);
    expect((await fetch(`${server.url}/docs`)).headers.get('content-type')).toMatch(/^text\/html/);
  });

  it('is told in the log how to connect Ollama', () => {
    const told = server.logs.find(
      (line) => line.agent === 'ollama' && String(line.detail).includes('OLLAMA_HOST'),
    );
    expect(told?.level).toBe('warn');
  });

  it('gets one message frame when asking for the answer as a whole', async () => {
    const client = await WsClient.connect(`${server.ws}/whole`);
    client.send({ type: 'message', content: 'Hello', requestId: 'q7', conversationId: 'c1' });
    expect(await client.end('q7')).toMatchObject({
      type: 'message',
      content: expect.stringMatching(/\S+ \S+/),
      agent: 'eliza',
      conversationId: 'c1',
    });
    expect(client.frames).toHaveLength(1);
    await client.close();
  });

  it('keeps several streams on one connection apart', async () => {
    const client = await WsClient.connect(`${server.ws}/many`);
    const asked = Array.from({ length: 10 }, (_, index) => `q${index}`);
    for (const requestId of asked) client.send({ type: 'stream_request', content: 'Hello', requestId });
    const starts = await Promise.all(
      asked.map((requestId) =>
        client.until((frame) => frame.type === 'streaming_start' && frame.requestId === requestId),
      ),
    );
    for (const { streamId } of starts) {
      await client.until((frame) => frame.type === 'streaming_end' && frame.streamId === streamId);
      const frames = client.frames.filter((frame) => frame.streamId === streamId);
      expect(textOf(frames)).toMatch(/\S+ \S+/);
    }
    expect(new Set(starts.map((frame) => frame.streamId)).size).toBe(10);
    await client.close();
  });

  it('sees positions when asking for them', async () => {
    const client = await WsClient.connect(`${server.ws}/positions`);
    const frames = await client.ask({ content: 'Hallo', positions: true });
    const tokens = frames.filter((frame) => frame.type === 'streaming_token');
    let length = 0;
    for (const { content, position } of tokens) {
      length += content?.length ?? 0;
      expect(position).toBe(length);
    }
    const plain = await client.ask({ content: 'Hallo' });
    expect(plain.some((frame) => 'position' in frame)).toBe(false);
    await client.close();
  });

  it('is answered with pong', async () => {
    const client = await WsClient.connect(`${server.ws}/ping`);
    client.send({ type: 'ping' });
    expect(await client.until((frame) => frame.type === 'pong')).toEqual({ type: 'pong' });
    await client.close();
  });

  it('continues a conversation: the same id, over WebSocket and HTTP, is one', async () => {
    const first = await post('/chat', { content: 'Hello', user_id: 'kim', conversation_id: 'c9' });
    expect(await first.json()).toMatchObject({ conversation_id: 'c9' });
    const client = await WsClient.connect(`${server.ws}/kim`);
    const frames = await client.ask({ content: 'Hello', conversationId: 'c9' });
    expect(frames.at(-1)?.usage).toMatchObject({ inputTokens: 2 });
    await client.close();
  });

  it('takes over its own connection: the older one is closed with 4409', async () => {
    const older = await WsClient.connect(`${server.ws}/same`);
    const newer = await WsClient.connect(`${server.ws}/same`);
    expect(await older.closed).toMatchObject({ code: 4409 });
    expect((await newer.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    await newer.close();
  });
});
