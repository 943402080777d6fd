import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectAtOnce, roundTripMs } from '../support/at-once.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, type HiveOptions, startHive } from '../support/hive.js';
import { leakCheck } from '../support/leaks.js';
import { RawWebSocket } from '../support/raw-client.js';
import { isThorough, times } from '../support/thorough.js';
import { type Frame, textOf, WsClient } from '../support/ws-client.js';

describe.each(['uws', 'node'] as const)('over transport-%s', (transport) => {
  let fake: FakeOllama;
  let hive: Hive;
  let leaks: ReturnType<typeof leakCheck>;

  const start = async (options: HiveOptions = {}) => {
    hive = await startHive({ fake, transport, ...options });
  };
  beforeEach(async () => {
    leaks = leakCheck();
    fake = await startFakeOllama();
  });
  // After each case everything is back where it was: connections, streams, readers, sockets to the model, timers, threads.
  afterEach(async () => {
    await hive.close();
    await fake.close();
    await leaks.settled();
  });

  const chatRequests = () => fake.requests.filter((record) => record.path === '/api/chat');
  const closedUpstream = () =>
    fake.waitFor((record) => record.path === '/api/chat' && record.atMs.peerClosed !== undefined);
  const contents = (frames: readonly Frame[]) =>
    frames.map((frame) => (/^streaming_t(oken|hinking)$/.test(frame.type) ? frame.content : '')).join('');
  const json = { 'content-type': 'application/json' };

  describe('a connection that is lost', () => {
    it('at any token costs nothing: over 200 random cuts the joined text equals the whole text', async () => {
      await start();
      const model = 'slow-tokens?ms=1&n=30&seed=7';
      const whole = fake.expectedText(model);
      // Three cuts each.
      const runs = isThorough ? 200 : 80;
      // A cut is a number of characters; a seeded sequence, so that a failure can be seen again.
      let seed = 42;
      const random = () => {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        return seed / 2 ** 31;
      };
      const cutAndResume = async (run: number) => {
        let text = '';
        let streamId: string | undefined;
        for (let attempt = 0; ; attempt++) {
          const client = await WsClient.connect(`${hive.ws}/run${run}`);
          client.send(
            streamId
              ? { type: 'resume', streamId, position: text.length }
              : { type: 'stream_request', content: 'Hallo', model },
          );
          const cut =
            attempt < 3 ? text.length + Math.floor(random() * (whole.length - text.length)) : Infinity;
          const last = await client.until(
            (frame) => frame.type === 'streaming_end' || contents(client.frames).length > cut,
          );
          streamId = client.frames[0]?.streamId;
          client.socket.terminate();
          // What arrived after the cut was still ours; what counts is where we go on.
          text += contents(client.frames);
          expect(client.frames[0]?.type).toBe('streaming_start');
          expect(client.frames[0]?.resumed).toBe(attempt === 0 ? undefined : true);
          if (last.type === 'streaming_end' || client.frames.some((frame) => frame.type === 'streaming_end'))
            return text;
        }
      };
      for (let run = 0; run < runs; run += 20) {
        const texts = await Promise.all(Array.from({ length: 20 }, (_, index) => cutAndResume(run + index)));
        for (const text of texts) expect(text).toBe(whole);
      }
      expect(chatRequests()).toHaveLength(runs);
    });

    it('leaves its reply running for the grace period, and then cancels it', async () => {
      await start({ config: { 'streams-memory': { disconnectGraceMs: 100 } } });
      const client = await WsClient.connect(`${hive.ws}/a`);
      client.send({ type: 'stream_request', content: 'Hallo', model: 'slow-tokens?ms=5&n=10000' });
      await client.until((frame) => frame.type === 'streaming_token');
      client.socket.terminate();
      const record = await closedUpstream();
      expect(record.endedBy).toBe('peer');
      const again = await WsClient.connect(`${hive.ws}/a`);
      const { streamId } = client.frames[0] as Frame;
      again.send({ type: 'resume', streamId, position: contents(client.frames).length });
      expect(await again.until((frame) => frame.type === 'cancelled')).toMatchObject({ reason: 'abandoned' });
      await again.close();
    });

    it('can go on over HTTP, from a position or from the last event, and on another connection at the same time', async () => {
      await start();
      const model = 'slow-tokens?ms=2&n=60';
      const client = await WsClient.connect(`${hive.ws}/a`);
      client.send({ type: 'stream_request', content: 'Hallo', model });
      await client.until(() => contents(client.frames).length > 20);
      const { streamId } = client.frames[0] as Frame;
      const whole = fake.expectedText(model);

      const ndjson = await fetch(`${hive.url}/chat/stream/${streamId}?position=10`, {
        headers: { accept: 'application/x-ndjson' },
      });
      const lines = (await ndjson.text())
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Frame);
      expect(lines[0]).toMatchObject({ type: 'streaming_start', resumed: true });
      expect(contents(lines)).toBe(whole.slice(10));

      const sse = await fetch(`${hive.url}/chat/stream/${streamId}`, { headers: { 'last-event-id': '20' } });
      const events = (await sse.text()).split('\n\n').filter((event) => event.includes('data: '));
      const frames = events.map((event) => JSON.parse(/data: ([^\n]*)/.exec(event)?.[1] ?? '') as Frame);
      expect(contents(frames)).toBe(whole.slice(20));
      expect(events.at(-1)).toContain(`id: ${whole.length}`);
      expect(events[0]).toContain('id: 20');

      await client.until((frame) => frame.type === 'streaming_end');
      expect(contents(client.frames)).toBe(whole);
      expect(chatRequests()).toHaveLength(1);
      await client.close();
    });

    it('that a newer one of the same client takes over, and that closes late, hurts neither', async () => {
      await start();
      const model = 'slow-tokens?ms=2&n=80';
      const older = await RawWebSocket.open(Number(new URL(hive.url).port), { path: '/ws/same' });
      older.sendText(JSON.stringify({ type: 'stream_request', content: 'Hallo', model }));
      const first = await older.waitForFrame((frame) => frame.payload.includes('streaming_start'));
      const { streamId } = JSON.parse(first.payload.toString()) as Frame;
      // It reads no more, so that it does not even learn of its close.
      older.client.pause();
      const newer = await WsClient.connect(`${hive.ws}/same`);
      newer.send({ type: 'resume', streamId, position: 0 });
      await newer.until((frame) => frame.type === 'streaming_token');
      older.client.reset();
      await newer.until((frame) => frame.type === 'streaming_end');
      expect(contents(newer.frames)).toBe(fake.expectedText(model));
      // The newer one is still the client's connection: the next one takes over from it.
      const newest = await WsClient.connect(`${hive.ws}/same`);
      expect(await newer.closed).toMatchObject({ code: 4409 });
      await newest.close();
    });
  });

  describe('the same requestId, three times in parallel from a client that reconnects,', () => {
    it('is one generation', async () => {
      await start();
      const model = 'slow-tokens?ms=2&n=40';
      const request = { type: 'stream_request', content: 'Hallo', model, requestId: 'same' };
      const texts: string[] = [];
      const clients: WsClient[] = [];
      for (let attempt = 0; attempt < 3; attempt++) {
        const client = await WsClient.connect(`${hive.ws}/me`);
        clients.push(client);
        for (let copy = 0; copy < 3; copy++) client.send(request);
      }
      const last = clients.at(-1) as WsClient;
      await last.until((frame) => frame.type === 'streaming_end');
      texts.push(contents(last.frames));
      expect(texts).toEqual([fake.expectedText(model)]);
      expect(last.frames.filter((frame) => frame.type === 'streaming_start')).toHaveLength(1);
      expect(chatRequests()).toHaveLength(1);
      await last.close();
    });
  });

  describe('a cancel', () => {
    it.each(['slow-headers?t=60000', 'silent', 'stall?k=3', 'slow-tokens?ms=5&n=10000'])(
      'of %s closes the socket to the model at once and says so',
      async (model) => {
        await start();
        const client = await WsClient.connect(`${hive.ws}/a`);
        client.send({ type: 'stream_request', content: 'Hallo', model });
        const { streamId } = await client.until((frame) => frame.type === 'streaming_start');
        await fake.waitFor((record) => record.mode !== undefined);
        const base = await roundTripMs(`${hive.url}/health`);
        const sentAt = performance.now();
        client.send({ type: 'cancel', streamId });
        const cancelled = await client.until((frame) => frame.type === 'cancelled');
        const receivedAt = performance.now();
        const record = await closedUpstream();
        expectAtOnce((record.atMs.peerClosed ?? Infinity) - sentAt, base);
        expect(cancelled).toMatchObject({
          streamId,
          reason: 'client',
          upstreamClosedMs: expect.any(Number),
          stopped: expect.anything(),
        });
        expect(cancelled.upstreamClosedMs).toBeLessThanOrEqual(Math.ceil(receivedAt - sentAt));
        // A word after the cancel would be one too many.
        client.send({ type: 'ping' });
        await client.until((frame) => frame.type === 'pong');
        expect(client.frames.at(-2)).toBe(cancelled);
        await client.close();
      },
    );

    it('can come from anybody who knows the stream, over WebSocket and HTTP', async () => {
      await start();
      for (const how of ['socket', 'http'] as const) {
        const reader = await WsClient.connect(`${hive.ws}/reader`);
        reader.send({ type: 'stream_request', content: 'Hallo', model: 'slow-tokens?ms=5&n=10000' });
        const { streamId } = await reader.until((frame) => frame.type === 'streaming_start');
        if (how === 'socket') {
          const other = await WsClient.connect(`${hive.ws}/other`);
          other.send({ type: 'cancel', streamId });
          expect(await other.until((frame) => frame.type === 'cancelled')).toMatchObject({ streamId });
          await other.close();
        } else {
          const response = await fetch(`${hive.url}/chat/stream/${streamId}`, { method: 'DELETE' });
          expect(response.status).toBe(200);
          expect(await response.json()).toEqual({
            cancelled: true,
            upstreamClosedMs: expect.any(Number),
            stopped: expect.anything(),
          });
        }
        await reader.until((frame) => frame.type === 'cancelled');
        expect(reader.frames.filter((frame) => frame.type === 'cancelled')).toHaveLength(1);
        await reader.close();
      }
    });

    it('twice, of a finished and of an unknown stream has a clear answer, and ends no stream', async () => {
      await start();
      const client = await WsClient.connect(`${hive.ws}/a`);
      const frames = await client.ask({ content: 'Hallo' });
      const finished = frames[0]?.streamId;
      for (const streamId of [finished, 'nobody']) {
        const from = client.frames.length;
        client.send({ type: 'cancel', streamId });
        const error = await client.until((frame) => client.frames.indexOf(frame) >= from);
        expect(error).toMatchObject({ type: 'error', code: 'STREAM_UNKNOWN' });
        expect(error).not.toHaveProperty('streamId');
        const response = await fetch(`${hive.url}/chat/stream/${streamId}`, { method: 'DELETE' });
        expect(response.status).toBe(404);
        expect(await response.json()).toMatchObject({ error: { code: 'STREAM_UNKNOWN' } });
      }
      client.send({ type: 'stream_request', content: 'x', model: 'stall?k=1' });
      const { streamId } = await client.until(
        (frame) => frame.type === 'streaming_token' && frame.streamId !== finished,
      );
      client.send({ type: 'cancel', streamId });
      client.send({ type: 'cancel', streamId });
      await client.until((frame) => frame.type === 'cancelled');
      await client.until(
        (frame) => frame.code === 'STREAM_UNKNOWN' && String(frame.message).includes(streamId as string),
      );
      expect(client.frames.filter((frame) => frame.type === 'cancelled')).toHaveLength(1);
      await client.close();
    });

    it('of a whole answer is the client that leaves', async () => {
      await start();
      const client = await WsClient.connect(`${hive.ws}/a`);
      client.send({ type: 'message', content: 'Hallo', model: 'stall?k=1' });
      await fake.waitFor((record) => record.mode !== undefined);
      client.socket.terminate();
      expect((await closedUpstream()).endedBy).toBe('peer');
    });
  });

  describe('a stream that is gone', () => {
    it('is answered with STREAM_GONE, never with a gap', async () => {
      await start({ config: { 'streams-memory': { maxKept: 1 } } });
      const client = await WsClient.connect(`${hive.ws}/a`);
      const [first] = await client.ask({ content: 'Hallo' });
      await client.ask({ content: 'Hallo' });
      for (const streamId of [first?.streamId, 'never-was']) {
        client.send({ type: 'resume', streamId, position: 3 });
        const error = await client.until(
          (frame) => frame.code === 'STREAM_GONE' && frame.streamId === streamId,
        );
        expect(error.type).toBe('error');
        const response = await fetch(`${hive.url}/chat/stream/${streamId}?position=3`);
        expect(response.status).toBe(410);
      }
      await client.close();
    });

    it.each([['-1'], ['x'], ['1e3'], ['999999']])('cannot be resumed from position %s', async (position) => {
      await start();
      const client = await WsClient.connect(`${hive.ws}/a`);
      const [first] = await client.ask({ content: 'Hallo' });
      const response = await fetch(`${hive.url}/chat/stream/${first?.streamId}?position=${position}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
      await client.close();
    });
  });

  describe('many readers of one reply', () => {
    it(`${times(1000)} of them have the whole text, and the agent ran once`, async () => {
      await start({ config: { transport: { maxConnections: 1100 } } });
      const model = 'slow-tokens?ms=20&n=50';
      const owner = await WsClient.connect(`${hive.ws}/owner`);
      owner.send({ type: 'stream_request', content: 'Hallo', model });
      const { streamId } = await owner.until((frame) => frame.type === 'streaming_start');
      const readers = await Promise.all(
        Array.from({ length: times(1000) }, (_, id) => WsClient.connect(`${hive.ws}/reader${id}`)),
      );
      for (const reader of readers) reader.send({ type: 'resume', streamId });
      for (const reader of [owner, ...readers]) {
        await reader.until((frame) => frame.type === 'streaming_end');
        expect(contents(reader.frames)).toBe(fake.expectedText(model));
      }
      expect(chatRequests()).toHaveLength(1);
      for (const reader of [owner, ...readers]) reader.socket.terminate();
    });
  });

  describe('a silent stream', () => {
    it('is kept open by pings on a WebSocket', async () => {
      await start({ config: { transport: { idleTimeoutS: 8 } } });
      const client = await WsClient.connect(`${hive.ws}/a`);
      client.send({ type: 'stream_request', content: 'Hallo', model: 'silent', onDisconnect: 'cancel' });
      await once(client.socket, 'ping');
      await client.close();
    });

    it('is kept open by comments, also while the model loads', async () => {
      await start({ config: { 'endpoint-chat': { heartbeatMs: 20 } } });
      const response = await fetch(`${hive.url}/chat/stream`, {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ content: 'x', user_id: 'u', model: 'slow-headers?t=1500&n=5' }),
      });
      const text = await response.text();
      expect(text.split(': keep-alive\n\n').length).toBeGreaterThan(5);
      const frames = [...text.matchAll(/^data: ([^\n]*)$/gm)].map(
        ([, data]) => JSON.parse(data as string) as Frame,
      );
      expect(textOf(frames)).toBe(fake.expectedText('slow-headers?t=1500&n=5'));
      expect(response.headers.get('x-stream-id')).toBe(frames[0]?.streamId);
    });
  });

  describe('a server that stops', () => {
    it('says until when, to those who are there and to those who come', async () => {
      await start({ drainTimeoutMs: 5000 });
      const client = await WsClient.connect(`${hive.ws}/a`);
      client.send({ type: 'stream_request', content: 'Hallo', model: 'slow-tokens?ms=10&n=40' });
      await client.until((frame) => frame.type === 'streaming_token');
      const stopped = hive.stop();
      const draining = await client.until((frame) => frame.type === 'server_draining');
      expect(draining.deadlineMs).toBeGreaterThan(0);
      expect(draining.deadlineMs).toBeLessThanOrEqual(5000);
      const late = await WsClient.connect(`${hive.ws}/late`);
      await late.until((frame) => frame.type === 'server_draining');
      await client.until((frame) => frame.type === 'streaming_end');
      expect(await client.closed).toMatchObject({ code: 1001 });
      await stopped;
    });
  });

  describe('more replies than may run', () => {
    it('wait for their turn, and hear how many are before them', async () => {
      await start({ config: { 'streams-memory': { maxRunning: 1, maxWaiting: 2 } } });
      const client = await WsClient.connect(`${hive.ws}/a`);
      const model = 'slow-tokens?ms=2&n=10';
      for (const requestId of ['a', 'b', 'c', 'd'])
        client.send({ type: 'stream_request', content: 'Hallo', model, requestId });
      expect(await client.end('d')).toMatchObject({
        type: 'error',
        code: 'QUEUE_FULL',
        retryAfterMs: expect.any(Number),
      });
      for (const [ahead, requestId] of ['b', 'c'].entries())
        await client.until(
          (frame) => frame.type === 'queue_update' && frame.requestId === requestId && frame.ahead === ahead,
        );
      for (const requestId of ['a', 'b', 'c']) {
        const { streamId } = await client.until((frame) => frame.requestId === requestId);
        await client.until((frame) => frame.type === 'streaming_end' && frame.streamId === streamId);
      }
      const updates = client.frames
        .filter((frame) => frame.type === 'queue_update')
        .map((frame) => frame.ahead);
      expect(updates).toEqual([0, 1, 0]);
      await client.close();
    });
  });
});
