import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, startHive } from '../support/hive.js';
import { leakCheck } from '../support/leaks.js';
import { opcodes, RawWebSocket, webSocketFrame } from '../support/raw-client.js';
import { type Frame, textOf, WsClient } from '../support/ws-client.js';

const terminal = new Set(['streaming_end', 'message', 'cancelled', 'error']);

describe.each(['uws', 'node'] as const)('frames that come in one read over transport-%s', (transport) => {
  let fake: FakeOllama;
  let hive: Hive;
  let leaks: ReturnType<typeof leakCheck>;
  beforeEach(async () => {
    leaks = leakCheck();
    fake = await startFakeOllama();
    hive = await startHive({ fake, transport });
  });
  afterEach(async () => {
    await hive.close();
    await fake.close();
    await leaks.settled();
  });

  const request = { type: 'stream_request', content: 'Hallo', requestId: 'q' };
  const running = { ...request, model: 'slow-tokens?ms=5&n=60' };
  const endless = { ...request, model: 'slow-tokens?ms=5&n=100000' };
  const resume = (streamId: string, position = 0) => ({ type: 'resume', streamId, position });
  const cancel = (streamId: string) => ({ type: 'cancel', streamId });

  /** All that comes for the frames, sent as one packet, until as many have ended as are expected. */
  async function together(frames: readonly object[], ends: number): Promise<readonly Frame[]> {
    const port = Number(new URL(hive.url).port);
    const raw = await RawWebSocket.open(port, { path: '/ws/b' });
    // What it answers is the sign that all of them were taken, and all that was sent for them has come.
    const packet = [...frames, { type: 'ping' }].map((frame) =>
      webSocketFrame({ opcode: opcodes.text, payload: JSON.stringify(frame) }),
    );
    await raw.send(Buffer.concat(packet));
    const all = () => raw.frames.filter(({ opcode }) => opcode === opcodes.text);
    const parsed = () => all().map(({ text }) => JSON.parse(text) as Frame);
    await raw.client.waitFor(() =>
      parsed().filter(({ type }) => terminal.has(type)).length >= ends ? true : undefined,
    );
    await raw.sendText('{"type":"ping"}');
    await raw.client.waitFor(() =>
      parsed().filter(({ type }) => type === 'pong').length === 2 ? true : undefined,
    );
    const got = parsed().filter(({ type }) => type !== 'pong');
    await raw.client.close();
    return got;
  }

  /** A reply that runs, and the id of its stream. */
  async function begun(frame: object): Promise<string> {
    const client = await WsClient.connect(`${hive.ws}/b`);
    client.send(frame);
    const { streamId } = await client.until(({ type }) => type === 'streaming_token');
    await client.close();
    return streamId as string;
  }

  const starts = (frames: readonly Frame[]) => frames.filter(({ type }) => type === 'streaming_start');
  const ends = (frames: readonly Frame[]) => frames.filter(({ type }) => terminal.has(type));

  it.each<[string, (id: string) => readonly object[]]>([
    ['two resumes', (id) => [resume(id), resume(id)]],
    ['five resumes', (id) => Array.from({ length: 5 }, () => resume(id))],
    ['resumes of two positions, of which the last one counts', (id) => [resume(id, 2), resume(id)]],
    ['a resume, and the request that started it', (id) => [resume(id), running]],
    ['the request that started it, and a resume', (id) => [running, resume(id)]],
    ['its request twice', () => [running, running]],
    ['a resume between its requests', (id) => [running, resume(id), running]],
  ])('deliver a reply once: %s', async (_, frames) => {
    const streamId = await begun(running);
    const got = await together(frames(streamId), 1);
    const text = fake.expectedText(running.model);
    // What an earlier delivery had sent before the next frame took its place may be sent again, from a new start.
    const last = got.findLastIndex(({ type }) => type === 'streaming_start');
    expect(textOf(got.slice(last))).toBe(text);
    expect(ends(got)).toMatchObject([{ type: 'streaming_end' }]);
    expect(textOf(got).length).toBeLessThan(2 * text.length);
    expect(new Set(starts(got).map((each) => each.streamId))).toEqual(new Set([streamId]));
  });

  it('start one reply for the same request twice', async () => {
    const got = await together([running, running], 1);
    expect(starts(got)).toHaveLength(1);
    expect(textOf(got)).toBe(fake.expectedText(running.model));
    expect(fake.requests.filter(({ path }) => path === '/api/chat')).toHaveLength(1);
  });

  it('give each of two requests with one id and other content its own answer', async () => {
    const got = await together([running, { ...running, content: 'else' }], 2);
    expect(ends(got)).toMatchObject([
      { type: 'error', code: 'IDEMPOTENCY_MISMATCH', requestId: 'q' },
      { type: 'streaming_end' },
    ]);
    expect(textOf(got)).toBe(fake.expectedText(running.model));
  });

  it('give both of two whole answers to one request', async () => {
    const message = { type: 'message', content: 'Hallo', requestId: 'w', model: 'normal?n=3' };
    const got = await together([message, message], 2);
    expect(got.map(({ type }) => type)).toEqual(['message', 'message']);
    expect(got[0]).toEqual(got[1]);
    expect(fake.requests.filter(({ path }) => path === '/api/chat')).toHaveLength(1);
  });

  it.each<[string, (id: string) => readonly object[]]>([
    ['a cancel and a resume', (id) => [cancel(id), resume(id)]],
    ['a resume and a cancel', (id) => [resume(id), cancel(id)]],
    ['a cancel and its request', (id) => [cancel(id), endless]],
    ['a cancel between two resumes', (id) => [resume(id), cancel(id), resume(id)]],
    ['a cancel alone', (id) => [cancel(id)]],
  ])('end a reply once: %s', async (_, frames) => {
    const streamId = await begun(endless);
    const got = await together(frames(streamId), 1);
    expect(ends(got)).toMatchObject([{ type: 'cancelled', streamId, reason: 'client' }]);
  });

  it('confirm one of two cancels', async () => {
    const streamId = await begun(endless);
    const got = await together([cancel(streamId), cancel(streamId)], 2);
    expect(
      ends(got)
        .map(({ type, code }) => code ?? type)
        .sort(),
    ).toEqual(['STREAM_UNKNOWN', 'cancelled']);
  });
});
