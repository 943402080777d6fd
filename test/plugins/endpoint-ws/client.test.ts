import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import {
  type Chunk,
  type ClientState,
  type ConnectOptions,
  connect,
  type Reply,
  type WaggleClient,
  type WaggleClientError,
  type WebSocketLike,
} from '../../../plugins/endpoint-ws/client/index.js';
import { anyCharacter } from '../../support/any-character.js';
import { leakCheck } from '../../support/leaks.js';
import { times } from '../../support/thorough.js';
import { type ClientFrame, type Peer, ScriptedServer } from './scripted-server.js';

let leaks: ReturnType<typeof leakCheck>;
let server: ScriptedServer;
const clients: WaggleClient[] = [];

beforeEach(async () => {
  leaks = leakCheck();
  server = await ScriptedServer.listen();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await server.close();
  await leaks.settled();
});

const atOnce = { baseMs: 0 };

async function open(options: ConnectOptions = {}): Promise<WaggleClient> {
  const client = await connect(server.url, { WebSocket, reconnect: atOnce, ...options });
  clients.push(client);
  return client;
}

async function textOf(reply: Reply): Promise<string> {
  let text = '';
  for await (const chunk of reply) if (chunk.type === 'text') text += chunk.content;
  return text;
}

async function failureOf(promise: Promise<unknown>): Promise<WaggleClientError> {
  return promise.then(
    () => expect.unreachable('it did not fail'),
    (error) => error,
  );
}

const start = (frame: ClientFrame, streamId = 's1') => ({
  type: 'streaming_start',
  streamId,
  agent: 'eliza',
  conversationId: 'c1',
  requestId: frame.requestId,
});
const token = (content: string, streamId = 's1') => ({ type: 'streaming_token', streamId, content });
const thinking = (content: string, streamId = 's1') => ({ type: 'streaming_thinking', streamId, content });
const end = (streamId = 's1') => ({
  type: 'streaming_end',
  streamId,
  reason: 'stop',
  agent: 'eliza',
  usage: { inputTokens: 1, outputTokens: 2 },
  timings: { queuedMs: 0, firstTokenMs: 1, totalMs: 2 },
});
const resumed = (frame: ClientFrame) => ({ ...start(frame, frame.streamId), resumed: true });

describe('connect', () => {
  it('fails when nobody listens', async () => {
    const { url } = server;
    await server.close();
    const error = await failureOf(connect(url, { WebSocket }));
    expect(error).toMatchObject({ name: 'WaggleClientError', code: 'CONNECTION_LOST' });
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('fails when no WebSocket is at hand', async () => {
    await expect(connect(server.url)).rejects.toThrow(/pass one as connect\(url, \{ WebSocket \}\)/);
  });

  it('fails when the address makes no sense', async () => {
    await expect(connect('nonsense', { WebSocket })).rejects.toThrow(SyntaxError);
  });

  it('fails when the server accepts and never answers, and leaves its socket', async () => {
    const sockets: FakeSocket[] = [];
    const options = { WebSocket: fakeClass(sockets), answerTimeoutMs: 5 };
    expect(await failureOf(connect(server.url, options))).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(sockets.map((socket) => socket.terminated)).toEqual([true]);
  });
});

describe('a reply', () => {
  it('comes as typed chunks and as a whole', async () => {
    server.onFrame = (frame, peer) =>
      peer.send(
        start(frame),
        thinking('hm'),
        token('Hello '),
        token('there'),
        { type: 'streaming_tool_call', streamId: 's1', id: 't1', name: 'clock', arguments: { zone: 'UTC' } },
        end(),
      );
    const client = await open();
    const options = { model: 'm', options: { temperature: 0 }, priority: 'high' } as const;
    const reply = client.chat('Hallo', { ...options, onDisconnect: 'cancel', timeoutMs: 1000 });
    const chunks: Chunk[] = [];
    for await (const chunk of reply) chunks.push(chunk);
    const toolCall = { type: 'tool_call', id: 't1', name: 'clock', arguments: { zone: 'UTC' } };
    expect(chunks[0]).toEqual({ type: 'thinking', content: 'hm' });
    expect(chunks.at(-1)).toEqual(toolCall);
    expect(await reply.result).toEqual({
      text: 'Hello there',
      thinking: 'hm',
      toolCalls: [toolCall],
      reason: 'stop',
      streamId: 's1',
      agent: 'eliza',
      conversationId: 'c1',
      usage: { inputTokens: 1, outputTokens: 2 },
      timings: { queuedMs: 0, firstTokenMs: 1, totalMs: 2 },
    });
    expect(reply).toMatchObject({ streamId: 's1', agent: 'eliza', conversationId: 'c1', position: 13 });
    const { requestId } = reply;
    expect(server.frames).toEqual([
      {
        type: 'stream_request',
        content: 'Hallo',
        ...options,
        onDisconnect: 'cancel',
        positions: true,
        requestId,
      },
    ]);
  });

  it('may be asked for as a whole', async () => {
    server.onFrame = (frame, peer) => peer.send(start(frame), token('Hello'), end());
    const client = await open();
    expect(await client.ask('Hallo')).toMatchObject({ text: 'Hello', agent: 'eliza' });
  });

  it('is what one message says when another agent took over', async () => {
    server.onFrame = ({ requestId }, peer) =>
      peer.send({
        type: 'message',
        streamId: 's1',
        content: 'Hi',
        agent: 'b',
        conversationId: 'c',
        requestId,
      });
    const client = await open();
    const reply = client.chat('Hallo');
    expect(await textOf(reply)).toBe('Hi');
    expect(await reply.result).toMatchObject({ text: 'Hi', agent: 'b', conversationId: 'c', reason: 'stop' });
  });

  it('loses nothing when nobody pulls for a while, and arrives merged', async () => {
    server.onFrame = (frame, peer) => {
      peer.send(start(frame), ...Array.from({ length: 1000 }, (_, index) => token(`${index} `)), end());
    };
    const client = await open();
    const reply = client.chat('Hallo');
    const { text } = await reply.result;
    const chunks: Chunk[] = [];
    for await (const chunk of reply) chunks.push(chunk);
    expect(text.split(' ')).toHaveLength(1001);
    expect(chunks).toEqual([{ type: 'text', content: text }]);
  });

  it('is never cut within a character', async () => {
    let goOn = () => {};
    server.onFrame = (frame, peer) => {
      peer.send(start(frame), token(`a${'🐝'.slice(0, 1)}`));
      goOn = () => peer.send(token('🐝'.slice(1)), end());
    };
    const client = await open();
    const chunks: string[] = [];
    for await (const chunk of client.chat('Hallo')) {
      if (chunk.type === 'text') chunks.push(chunk.content);
      goOn();
    }
    expect(chunks).toEqual(['a', '🐝']);
  });

  it('keeps apart from others on the same connection', async () => {
    const asked: ClientFrame[] = [];
    server.onFrame = (frame, peer) => {
      asked.push(frame);
      if (asked.length < 3) return;
      for (const [index, each] of asked.entries()) peer.send(start(each, `s${index}`));
      for (const [index] of asked.entries())
        peer.send(token(`answer ${index}`, `s${index}`), end(`s${index}`));
    };
    const client = await open();
    const answers = await Promise.all(['a', 'b', 'c'].map((content) => client.ask(content)));
    expect(answers.map(({ text }) => text)).toEqual(['answer 0', 'answer 1', 'answer 2']);
  });

  it('fails with the code of the server, and keeps its text', async () => {
    server.onFrame = (frame, peer) => {
      const error = { type: 'error', code: 'AGENT_FAILED', message: 'oh', streamId: 's1', retryAfterMs: 7 };
      peer.send(start(frame), token('Hel'), error, token('never'), end());
    };
    const client = await open();
    const reply = client.chat('Hallo', { requestId: 'q1' });
    const failure = { code: 'AGENT_FAILED', message: 'oh', requestId: 'q1', retryAfterMs: 7 };
    const chunks: Chunk[] = [];
    const loop = (async () => {
      for await (const chunk of reply) chunks.push(chunk);
    })();
    expect(await failureOf(loop)).toMatchObject(failure);
    expect(chunks).toEqual([{ type: 'text', content: 'Hel' }]);
    expect(await failureOf(reply.result)).toMatchObject(failure);
    expect(reply.text).toBe('Hel');
    expect(await reply.cancel()).toBeUndefined();
  });

  it('fails when it is refused before it has a name', async () => {
    server.onFrame = ({ requestId }, peer) =>
      peer.send({ type: 'error', code: 'QUEUE_FULL', message: 'full', requestId, retryAfterMs: 1000 });
    const client = await open();
    expect(await failureOf(client.ask('Hallo'))).toMatchObject({ code: 'QUEUE_FULL', retryAfterMs: 1000 });
  });

  it('fails when nothing comes for too long, and the server is told', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') peer.send(start(frame));
    };
    const client = await open();
    expect(await failureOf(client.ask('Hallo', { timeoutMs: 20 }))).toMatchObject({ code: 'TIMEOUT' });
    expect(await server.until('cancel')).toEqual({ type: 'cancel', streamId: 's1' });
  });

  it('says how many are before it', async () => {
    server.onFrame = (frame, peer) => {
      const { requestId } = frame;
      peer.send({ type: 'queue_update', streamId: 's1', requestId, ahead: 2 });
      peer.send({ type: 'queue_update', streamId: 's1', ahead: 1 }, start(frame), end());
    };
    const client = await open();
    const ahead: number[] = [];
    await client.ask('Hallo', { onQueued: (count) => ahead.push(count) });
    expect(ahead).toEqual([2, 1]);
  });

  it('cannot be asked for twice under one id', async () => {
    const client = await open();
    client.chat('Hallo', { requestId: 'q1' });
    expect(() => client.chat('Hallo', { requestId: 'q1' })).toThrow('"q1" is running already');
  });

  it('ignores frames that nobody knows', async () => {
    server.onFrame = (frame, peer) =>
      peer.send(
        { type: 'error', code: 'INVALID_FRAME', message: 'whose?' },
        { type: 'new' },
        [1],
        start(frame),
        {
          ...end(),
          more: 1,
        },
      );
    const client = await open();
    expect(await client.ask('Hallo')).toMatchObject({ text: '' });
  });
});

describe('what comes outside of replies', () => {
  const note = (seq: number, data: unknown = seq) => ({ type: 'notification', seq, topic: 't', data });

  it('is heard once and in order, also after a lost connection', async () => {
    const heard: unknown[] = [];
    server.onFrame = ({ type, after }, peer) => {
      if (type !== 'inbox') return;
      if (after === undefined) {
        peer.send({ type: 'inbox', seq: 4 }, note(5), note(7));
        peer.cut();
      } else peer.send({ type: 'inbox_gap', from: 8, to: 9 }, note(7), note(10), { type: 'made-up' });
    };
    const client = await open();
    client.on('notification', ({ seq }) => heard.push(seq));
    client.on('inbox_gap', ({ from, to }) => heard.push([from, to]));
    await new Promise<void>((resolve) => client.on('made-up', () => resolve()));
    expect(heard).toEqual([5, 7, [8, 9], 10]);
    expect(server.frames).toEqual([{ type: 'inbox' }, { type: 'inbox', after: 7 }]);
  });

  it('is heard, too, from a server whose numbers are lower than those of the one before', async () => {
    const heard: unknown[] = [];
    server.onFrame = ({ type }, peer) => {
      if (type === 'inbox') peer.send({ type: 'inbox', seq: 4 }, note(5));
      else peer.send({ type: 'over' });
    };
    const client = await open({ after: 1000 });
    client.on('notification', ({ seq }) => heard.push(seq));
    const over = new Promise<void>((resolve) => client.on('over', () => resolve()));
    client.send('ping');
    await over;
    expect(heard).toEqual([5]);
  });

  it('is asked for before anything else on a new connection', async () => {
    const client = await open({ after: 3 });
    client.on('notification', () => {});
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') peer.send(start(frame), end());
    };
    await client.ask('Hallo');
    expect(server.frames.map(({ type }) => type)).toEqual(['inbox', 'stream_request']);
    expect(server.frames[0]).toEqual({ type: 'inbox', after: 3 });
  });

  it('costs a client nothing that does not listen', async () => {
    server.onFrame = (frame, peer) => peer.send(note(1), start(frame), end());
    await (await open()).ask('Hallo');
    expect(server.frames.map(({ type }) => type)).toEqual(['stream_request']);
  });

  it('may be any type, until the listener is removed', async () => {
    const heard: unknown[] = [];
    server.onFrame = ({ type, text }, peer) => peer.send({ type, text }, { type: 'over' });
    const client = await open();
    const off = client.on('echo', ({ text }) => heard.push(text));
    const heardAll = () => new Promise<void>((resolve) => client.on('over', () => resolve()));
    expect(client.send('echo', { text: 'a', type: 'no' })).toBe(true);
    await heardAll();
    off();
    client.send('echo', { text: 'b' });
    await heardAll();
    expect(heard).toEqual(['a']);
    await client.close();
    expect(client.send('echo')).toBe(false);
  });
});

describe('a cancel', () => {
  /** Starts and says one word; on a cancel it gives the receipt. */
  const stoppable = (frame: ClientFrame, peer: Peer) => {
    if (frame.type === 'stream_request') peer.send(start(frame), token('Hello'));
    if (frame.type === 'cancel')
      peer.send(token(' you'), { type: 'cancelled', streamId: 's1', reason: 'client', upstreamClosedMs: 7 });
  };

  it('ends the reply with a receipt', async () => {
    server.onFrame = stoppable;
    const client = await open();
    const reply = client.chat('Hallo');
    await reply.next();
    const [receipt, again] = await Promise.all([reply.cancel(), reply.cancel()]);
    expect(receipt).toEqual({ reason: 'client', upstreamClosedMs: 7 });
    expect(again).toEqual(receipt);
    expect(await textOf(reply)).toBe(' you');
    expect(await reply.result).toMatchObject({ text: 'Hello you', reason: 'cancelled', cancelled: receipt });
    expect(await reply.cancel()).toEqual(receipt);
    expect(server.frames.filter(({ type }) => type === 'cancel')).toHaveLength(1);
  });

  it('follows when the loop is left', async () => {
    server.onFrame = stoppable;
    const client = await open();
    const reply = client.chat('Hallo');
    for await (const chunk of reply) if (chunk) break;
    expect(await reply.result).toMatchObject({ reason: 'cancelled', cancelled: { upstreamClosedMs: 7 } });
    expect(await reply.next()).toEqual({ done: true, value: undefined });
  });

  it('follows when the signal aborts; the loop gets its reason at once', async () => {
    server.onFrame = (frame, peer) => frame.type === 'stream_request' && stoppable(frame, peer);
    const client = await open();
    const controller = new AbortController();
    const reply = client.chat('Hallo', { signal: controller.signal });
    await reply.next();
    const next = reply.next();
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await expect(reply.result).rejects.toThrow('enough');
    expect(await server.until('cancel')).toMatchObject({ streamId: 's1' });
  });

  it('that nobody waits for may fail', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') stoppable(frame, peer);
      else peer.close(1009);
    };
    const client = await open();
    const reply = client.chat('Hallo');
    for await (const chunk of reply) if (chunk) break;
    expect(await failureOf(reply.result)).toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('leaves nothing at the signal, nor does a reply that ends', async () => {
    server.onFrame = (frame, peer) => peer.send(start(frame), end());
    const client = await open();
    const { signal } = new AbortController();
    const answer = client.ask('Hallo', { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await answer;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('asks nothing when the signal has aborted before', async () => {
    server.onFrame = (_, peer) => peer.send({ type: 'pong' });
    const client = await open();
    await expect(client.ask('Hallo', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    await client.close();
    expect(server.frames).toEqual([]);
  });

  it('waits for the start when there is none yet', async () => {
    let begin = () => {};
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') begin = () => stoppable(frame, peer);
      else stoppable(frame, peer);
    };
    const client = await open();
    const receipt = client.chat('Hallo').cancel();
    await server.until('stream_request');
    expect(server.frames).toHaveLength(1);
    begin();
    expect(await receipt).toEqual({ reason: 'client', upstreamClosedMs: 7 });
  });

  it('is not held up by a server that says nothing; when the reply starts after all, it is stopped', async () => {
    const { client, sockets } = await openFake({ answerTimeoutMs: 5 });
    const reply = client.chat('Hallo', { requestId: 'q1' });
    expect(await failureOf(reply.cancel())).toMatchObject({ code: 'TIMEOUT', requestId: 'q1' });
    hear(sockets[0], start({ requestId: 'q1' } as ClientFrame));
    expect(sockets[0]?.sent.map((frame) => JSON.parse(frame)).at(-1)).toEqual({
      type: 'cancel',
      streamId: 's1',
    });
    await client.close();
  });

  it('needs no server when the request was never sent', async () => {
    server.onConnection = (peer) => peer.send({ type: 'server_draining', deadlineMs: 1000 });
    const states: ClientState[] = [];
    const client = await open({ onState: (state) => states.push(state) });
    await expect.poll(() => states).toContain('draining');
    expect(await client.chat('Hallo').cancel()).toEqual({ reason: 'client', upstreamClosedMs: 0 });
    expect(server.frames).toEqual([]);
  });

  it('is undefined when the reply had ended before', async () => {
    server.onFrame = (frame, peer) => peer.send(start(frame), end());
    const client = await open();
    const reply = client.chat('Hallo');
    await reply.result;
    expect(await reply.cancel()).toBeUndefined();
  });

  it('by anybody else is a failure', async () => {
    const cancelled = { type: 'cancelled', streamId: 's1', reason: 'shutdown', upstreamClosedMs: 1 };
    server.onFrame = (frame, peer) => peer.send(start(frame), token('Hel'), cancelled);
    const client = await open();
    const reply = client.chat('Hallo');
    expect(await failureOf(textOf(reply))).toMatchObject({
      code: 'CANCELLED',
      message: expect.stringContaining('shutdown'),
    });
    expect(reply.text).toBe('Hel');
  });
});

describe('a lost connection', () => {
  it('costs nothing: the reply goes on from its own position, thinking included', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') {
        peer.send(start(frame), thinking('hm'), token('Hel'));
        peer.close(1001);
      } else peer.send(resumed(frame), token('lo'), end());
    };
    const states: ClientState[] = [];
    const client = await open({ onState: (state) => states.push(state) });
    const reply = client.chat('Hallo');
    expect(await textOf(reply)).toBe('Hello');
    expect(server.frames[1]).toMatchObject({ type: 'resume', streamId: 's1', position: 5, positions: true });
    expect(states).toEqual(['open', 'reconnecting', 'open']);
  });

  it('repeats a request that was not answered, under the same id', async () => {
    server.onFrame = (frame, peer) => {
      if (server.frames.length < 3) peer.cut();
      else peer.send(start(frame), end());
    };
    const client = await open();
    await client.ask('Hallo');
    const [first, ...others] = server.frames;
    expect(first?.requestId).toMatch(/^[0-9a-f]{32}$/);
    expect(others).toEqual([first, first]);
  });

  it('that the server cannot bridge fails the reply, and keeps its text', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') {
        peer.send(start(frame), token('Hel'));
        peer.close(1013);
      } else peer.send({ type: 'error', code: 'STREAM_GONE', message: 'gone', streamId: 's1' });
    };
    const client = await open();
    const reply = client.chat('Hallo');
    expect(await failureOf(textOf(reply))).toMatchObject({ code: 'STREAM_GONE' });
    expect(reply.text).toBe('Hel');
    expect(client.state).toBe('open');
  });

  it('never leaves a gap unnoticed', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request')
        peer.send(start(frame), { ...token('Hel'), position: 3 }, { ...token('there'), position: 10 }, end());
    };
    const client = await open();
    const reply = client.chat('Hallo');
    const error = await failureOf(textOf(reply));
    expect(error).toMatchObject({ code: 'STREAM_GONE', message: expect.stringContaining('2 characters') });
    expect(reply.text).toBe('Hel');
    expect(await server.until('cancel')).toMatchObject({ streamId: 's1' });
  });

  it('does not take a cancel back', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'stream_request') peer.send(start(frame), token('Hello'));
      else if (frame.type === 'resume') peer.send(resumed(frame));
      else if (server.connections === 1) peer.cut();
      else peer.send({ type: 'cancelled', streamId: 's1', reason: 'client', upstreamClosedMs: 3 });
    };
    const client = await open();
    const reply = client.chat('Hallo');
    await reply.next();
    expect(await reply.cancel()).toMatchObject({ upstreamClosedMs: 3 });
  });

  it('ends a cancel that had nothing to name: the request is not sent again', async () => {
    server.onFrame = (_, peer) => peer.cut();
    const client = await open();
    const reply = client.chat('Hallo');
    expect(await failureOf(reply.cancel())).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(server.frames).toHaveLength(1);
  });

  it.each([1001, 1008, 1011, 1012, 1013, 4408, 4429])(
    'is taken up again after a close with %i',
    async (code) => {
      server.onConnection = (peer) => {
        if (server.connections === 1) peer.close(code);
      };
      server.onFrame = (frame, peer) => peer.send(start(frame), token('Hello'), end());
      const client = await open();
      expect(await client.ask('Hallo')).toMatchObject({ text: 'Hello' });
      expect(client.state).toBe('open');
    },
  );

  it.each([1000, 1003, 1009, 4400, 4401, 4403, 4409])('is the end after a close with %i', async (code) => {
    server.onFrame = (_, peer) => peer.close(code, 'because');
    const closed: unknown[] = [];
    const client = await open({ onState: (state, error) => state === 'closed' && closed.push(error) });
    const failure = { code: 'CONNECTION_LOST', message: 'connection lost: because', closeCode: code };
    expect(await failureOf(client.ask('Hallo'))).toMatchObject(failure);
    expect(closed).toEqual([expect.objectContaining(failure)]);
    expect(client.state).toBe('closed');
    expect(server.connections).toBe(1);
    expect(await failureOf(client.ask('Hallo'))).toMatchObject({ code: 'CLOSED' });
  });

  it('is given up after so many tries in a row', async () => {
    server.onConnection = (peer) => peer.close(1013);
    const client = await open({ reconnect: { attempts: 3, baseMs: 0 } });
    expect(await failureOf(client.ask('Hallo'))).toMatchObject({ code: 'CONNECTION_LOST', closeCode: 1013 });
    expect(server.connections).toBe(4);
  });

  it('is the end without `reconnect`', async () => {
    server.onFrame = (_, peer) => peer.cut();
    const client = await open({ reconnect: false });
    expect(await failureOf(client.ask('Hallo'))).toMatchObject({ code: 'CONNECTION_LOST', closeCode: 1006 });
    expect(server.connections).toBe(1);
  });

  it('shows when the server is silent from one ping to the next', async () => {
    server.onFrame = (frame, peer) => {
      if (frame.type === 'resume') peer.send(resumed(frame), token('lo'), end());
      if (frame.type === 'stream_request') peer.send(start(frame), token('Hel'));
    };
    const client = await open({ heartbeatMs: 20 });
    expect(await client.ask('Hallo')).toMatchObject({ text: 'Hello' });
    expect(server.connections).toBeGreaterThan(1);
  });

  it('that was announced makes new requests wait for the next one', async () => {
    let draining: Peer | undefined;
    server.onConnection = (peer) => {
      if (server.connections > 1) return;
      draining = peer;
      peer.send({ type: 'server_draining', deadlineMs: 1000 });
    };
    server.onFrame = (frame, peer) => peer.send(start(frame), token('Hello'), end());
    const states: ClientState[] = [];
    const client = await open({ onState: (state) => states.push(state) });
    await expect.poll(() => client.state).toBe('draining');
    const answer = client.ask('Hallo');
    draining?.close(1001);
    expect(await answer).toMatchObject({ text: 'Hello' });
    expect(states).toEqual(['open', 'draining', 'reconnecting', 'open']);
  });

  it('carries a request that has met a server which was about to shut down, once', async () => {
    const peers: Peer[] = [];
    server.onConnection = (peer) => void peers.push(peer);
    server.onFrame = (frame, peer) => {
      const { requestId } = frame;
      if (peers.length > 1) peer.send(start(frame), token('Hello'), end());
      else peer.send({ type: 'error', code: 'SHUTTING_DOWN', message: 'not now', requestId });
    };
    const client = await open();
    const answer = client.ask('Hallo');
    const cancelled = client.chat('No');
    await expect.poll(() => server.frames.length).toBe(2);
    await cancelled.cancel();
    peers[0]?.close(1001);
    expect(await answer).toMatchObject({ text: 'Hello' });
    expect(server.frames.map(({ content }) => content)).toEqual(['Hallo', 'No', 'Hallo']);
  });

  it('that does not come fails such a request', async () => {
    server.onFrame = ({ requestId }, peer) => {
      peer.send({ type: 'error', code: 'SHUTTING_DOWN', message: 'not now', requestId });
      peer.close(1001);
    };
    const client = await open({ reconnect: false });
    expect(await failureOf(client.ask('Hallo'))).toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('is waited for twice as long each time, up to a bound and at random', async () => {
    vi.useFakeTimers();
    const random = vi.spyOn(Math, 'random').mockReturnValue(1);
    try {
      const { client, sockets } = await openFake({ reconnect: { attempts: 4, baseMs: 100, maxMs: 350 } });
      const waits: number[] = [];
      while (client.state !== 'closed') {
        sockets.at(-1)?.onclose?.({ code: 1006, reason: '' });
        const { length } = sockets;
        const from = Date.now();
        while (sockets.length === length && vi.getTimerCount() > 0) await vi.advanceTimersToNextTimerAsync();
        if (sockets.length > length) waits.push(Date.now() - from);
      }
      expect(waits).toEqual([100, 200, 350, 350]);
      expect(random).toHaveBeenCalledTimes(4);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
      random.mockRestore();
    }
  });

  it('is given up also when every connection brings a refusal', async () => {
    server.onConnection = (peer) => {
      peer.send({ type: 'error', code: 'SHUTTING_DOWN', message: 'not now' });
      peer.close(1001);
    };
    const client = await open({ reconnect: { attempts: 3, baseMs: 0 } });
    expect(await failureOf(client.ask('Hallo'))).toMatchObject({ code: 'CONNECTION_LOST', closeCode: 1001 });
    expect(server.connections).toBe(4);
  });

  it('is lost over a request that is much too long: that one is not sent again, others are', async () => {
    let cuts = 2;
    server.onFrame = (frame, peer) => {
      if (frame.content.length > 60_000 && cuts-- > 0) peer.cut();
      else if (frame.content.length < 60_000 && server.connections > 1) peer.send(start(frame), end());
    };
    const client = await open();
    const long = client.ask('x'.repeat(70_000));
    const short = client.ask('Hallo');
    expect(await failureOf(long)).toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringContaining('70'),
    });
    expect(await short).toMatchObject({ reason: 'stop' });
    expect(server.frames.filter(({ content }) => content.length > 60_000)).toHaveLength(1);
    expect(server.connections).toBe(2);
  });

  it('is over: what its socket says later is not heard', async () => {
    const { client, sockets } = await openFake({ reconnect: atOnce });
    const reply = client.chat('Hallo', { requestId: 'q1' });
    const [older] = sockets;
    hear(older, start({ requestId: 'q1' } as ClientFrame));
    hear(older, token('Hel'));
    older?.onclose?.({ code: 1006, reason: '' });
    await expect.poll(() => sockets.length).toBe(2);
    sockets[1]?.onopen?.({});
    hear(older, token('XXX'));
    older?.onclose?.({ code: 4409, reason: '' });
    hear(sockets[1], token('lo'));
    hear(sockets[1], end());
    expect(await reply.result).toMatchObject({ text: 'Hello' });
    expect(client.state).toBe('open');
    sockets[1]?.onclose?.({ code: 1000, reason: '' });
  });
});

describe('a reply that is resumed', () => {
  it('begins after the position', async () => {
    server.onFrame = (frame, peer) => peer.send(resumed(frame), token('lo'), end(frame.streamId));
    const client = await open();
    const reply = client.resume('s1', { position: 3 });
    expect(await textOf(reply)).toBe('lo');
    expect(reply).toMatchObject({ position: 5, streamId: 's1', agent: 'eliza' });
    expect(server.frames[0]).toMatchObject({ type: 'resume', streamId: 's1', position: 3 });
  });

  it('is whole without one', async () => {
    server.onFrame = (frame, peer) => peer.send(resumed(frame), token('Hello'), end(frame.streamId));
    const client = await open();
    expect(await client.resume('s1').result).toMatchObject({ text: 'Hello' });
    expect(server.frames[0]).toMatchObject({ position: 0 });
  });

  it('can be cancelled', async () => {
    server.onFrame = ({ type, streamId }, peer) => {
      if (type === 'cancel')
        peer.send({ type: 'cancelled', streamId, reason: 'client', upstreamClosedMs: 2 });
    };
    const client = await open();
    expect(await client.resume('s1').cancel()).toEqual({ reason: 'client', upstreamClosedMs: 2 });
  });
});

describe('a task', () => {
  it('gives its output, and its progress meanwhile', async () => {
    server.onFrame = ({ requestId }, peer) =>
      peer.send(
        { type: 'task_accepted', taskId: 't1', requestId },
        { type: 'queue_update', taskId: 't1', ahead: 1 },
        { type: 'task_progress', taskId: 't1', progress: 50 },
        { type: 'task_result', taskId: 't1', output: { sum: 3 } },
      );
    const client = await open();
    const progress: unknown[] = [];
    const ahead: number[] = [];
    const output = await client.task<{ sum: number }>('math:add', [1, 2], {
      priority: 'urgent',
      timeoutMs: 1000,
      onProgress: (value) => progress.push(value),
      onQueued: (count) => ahead.push(count),
    });
    expect({ output, progress, ahead }).toEqual({ output: { sum: 3 }, progress: [50], ahead: [1] });
    expect(server.frames[0]).toEqual({
      type: 'task',
      task: 'math:add',
      input: [1, 2],
      priority: 'urgent',
      timeoutMs: 1000,
      requestId: expect.any(String),
    });
  });

  it('fails with the code of the server', async () => {
    server.onFrame = ({ requestId }, peer) =>
      peer.send(
        { type: 'task_accepted', taskId: 't1', requestId },
        { type: 'error', code: 'TASK_FAILED', message: 'oh', taskId: 't1' },
      );
    const client = await open();
    expect(await failureOf(client.task('x', 1))).toMatchObject({ code: 'TASK_FAILED', message: 'oh' });
  });

  it('is cancelled by the signal, also before it has a name', async () => {
    let accept = () => {};
    server.onFrame = ({ type, requestId }, peer) => {
      if (type === 'task') accept = () => peer.send({ type: 'task_accepted', taskId: 't1', requestId });
    };
    const client = await open();
    const controller = new AbortController();
    const task = client.task('x', 1, { signal: controller.signal });
    await server.until('task');
    controller.abort(new Error('enough'));
    await expect(task).rejects.toThrow('enough');
    accept();
    expect(await server.until('cancel_task')).toEqual({ type: 'cancel_task', taskId: 't1' });
  });

  it('is not asked for twice when the connection is lost', async () => {
    server.onFrame = (_, peer) => peer.cut();
    const client = await open();
    expect(await failureOf(client.task('x', 1))).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(server.frames).toHaveLength(1);
  });
});

describe('close', () => {
  it('ends what runs', async () => {
    server.onFrame = (frame, peer) => peer.send(start(frame), token('Hel'));
    const client = await open();
    const reply = client.chat('Hallo');
    await reply.next();
    const task = client.task('x', 1);
    await Promise.all([client.close(), client.close()]);
    expect(await failureOf(textOf(reply))).toMatchObject({ code: 'CLOSED' });
    expect(await failureOf(task)).toMatchObject({ code: 'CLOSED' });
    expect(client.state).toBe('closed');
  });

  it('ends the tries to come back', async () => {
    server.onConnection = (peer) => peer.cut();
    const client = await open({ reconnect: { baseMs: 60_000, maxMs: 60_000 } });
    await expect.poll(() => client.state).toBe('reconnecting');
    const answer = failureOf(client.ask('Hallo'));
    await client.close();
    expect(await answer).toMatchObject({ code: 'CLOSED' });
  });

  it('does not wait for ever for a server that does not', async () => {
    const { client, sockets } = await openFake({ answerTimeoutMs: 5 });
    await client.close();
    expect(sockets[0]).toMatchObject({ closedWith: 1000, terminated: true });
  });
});

describe('any reply, over connections that are lost at any time,', () => {
  const content = fc.string({ unit: anyCharacter, maxLength: 20 });
  const piece = fc.oneof(
    fc.record({ type: fc.constantFrom('streaming_token', 'streaming_thinking'), content }),
    fc.record({ type: fc.constant('streaming_tool_call'), content: fc.constant('') }),
  );
  const story = fc.record({
    pieces: fc.array(piece, { maxLength: 12 }),
    /** How many frames each connection gets before it is lost; the one after the last is not. */
    cuts: fc.array(fc.nat({ max: 8 }), { maxLength: 6 }),
    /** Frames are cut into pieces of this length, through characters as well. */
    width: fc.integer({ min: 1, max: 7 }),
    /** How much a resume repeats of what is known. */
    overlap: fc.nat({ max: 9 }),
    positions: fc.boolean(),
    politely: fc.boolean(),
  });

  it('is whole, has every tool call once, and ends once', async () => {
    await fc.assert(
      fc.asyncProperty(story, async ({ pieces, cuts, width, overlap, positions, politely }) => {
        const remaining = [...cuts];
        const generations = new Set<string>();
        const framesFrom = (from: number) => {
          let position = 0;
          return pieces.flatMap(({ type, content }, index): object[] => {
            if (type === 'streaming_tool_call')
              return position < from
                ? []
                : [{ type, streamId: 's1', id: `t${index}`, name: 'n', arguments: {} }];
            const begin = Math.max(0, from - position);
            position += content.length;
            const parts: object[] = [];
            for (let at = begin; at < content.length; at += width) {
              const part = content.slice(at, at + width);
              const end = position - content.length + at + part.length;
              parts.push({ type, streamId: 's1', content: part, ...(positions && { position: end }) });
            }
            return parts;
          });
        };
        server.onFrame = (frame, peer) => {
          const resume = frame.type === 'resume';
          if (!resume) generations.add(frame.requestId);
          const from = resume ? frame.position - (positions ? Math.min(overlap, frame.position) : 0) : 0;
          const frames = [resume ? resumed(frame) : start(frame), ...framesFrom(from), end(), end()];
          const cut = remaining.shift();
          peer.send(...frames.slice(0, cut));
          if (cut === undefined) return;
          if (politely) peer.close(1001);
          else peer.cut();
        };
        const client = await open({ reconnect: { attempts: 20, baseMs: 0 } });
        const reply = client.chat('Hallo');
        const chunks: Chunk[] = [];
        for await (const chunk of reply) chunks.push(chunk);
        const said = (type: string) =>
          pieces.map((piece) => (piece.type === type ? piece.content : '')).join('');
        const got = (type: string) =>
          chunks.map((chunk) => (chunk.type === type && 'content' in chunk ? chunk.content : '')).join('');
        const { text, thinking, toolCalls } = await reply.result;
        expect(got('text')).toBe(said('streaming_token'));
        expect(got('thinking')).toBe(said('streaming_thinking'));
        expect({ text, thinking }).toEqual({ text: got('text'), thinking: got('thinking') });
        const calls = pieces.flatMap(({ type }, index) =>
          type === 'streaming_tool_call' ? [`t${index}`] : [],
        );
        expect(toolCalls.map(({ id }) => id)).toEqual(calls);
        expect(chunks.filter((chunk) => chunk.type === 'tool_call')).toEqual(toolCalls);
        expect(generations.size).toBe(1);
        expect(await reply.next()).toEqual({ done: true, value: undefined });
        await client.close();
      }),
      { numRuns: times(150) },
    );
  }, 60_000);
});

function hear(socket: FakeSocket | undefined, frame: object): void {
  socket?.onmessage?.({ data: JSON.stringify(frame) });
}

interface FakeSocket extends WebSocketLike {
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: unknown) => void) | null;
  onclose: ((event: unknown) => void) | null;
  readonly sent: string[];
  closedWith?: number | undefined;
  terminated?: boolean;
}

/** A client on sockets that do nothing by themselves. */
async function openFake(options: ConnectOptions) {
  const sockets: FakeSocket[] = [];
  const connecting = connect('ws://localhost/ws/me', { ...options, WebSocket: fakeClass(sockets) });
  sockets[0]?.onopen?.({});
  return { client: await connecting, sockets };
}

function fakeClass(sockets: FakeSocket[]) {
  return class implements FakeSocket {
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;
    readonly sent: string[] = [];
    closedWith: number | undefined;
    terminated = false;
    constructor() {
      sockets.push(this);
    }
    send(data: string): void {
      this.sent.push(data);
    }
    close(code?: number): void {
      this.closedWith = code;
    }
    terminate(): void {
      this.terminated = true;
    }
  };
}
