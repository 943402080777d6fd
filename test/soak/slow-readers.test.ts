import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { startServer } from '../support/server.js';
import { WsClient } from '../support/ws-client.js';

const backlogLimitBytes = 256 * 1024;
const stallTimeoutMs = 2000;
const tokenChars = 64_000;

/** An agent that says as many large tokens as the request allows, within 3 s, and a look at the memory. */
const bigAgent = `import { setTimeout as delay } from 'node:timers/promises';
const transport = Symbol.for('waggle:transport');
export default { name: 'big', apiVersion: 1, requires: { transport }, setup(ctx, { transport }) {
  ctx.effect('GET /memory', () => transport.route({ method: 'GET', path: '/memory',
    handler: (_request, reply) => reply.json(200, { rss: process.memoryUsage().rss }) }));
  ctx.addAgent({ name: 'big', async *generateResponseStream({ options }, { signal }) {
    for (let index = 0; index < options.maxTokens; index++) {
      await delay(3000 / options.maxTokens, undefined, { signal });
      yield { type: 'text', content: String.fromCharCode(97 + (index % 26)).repeat(${tokenChars}) };
    }
    yield { type: 'done', reason: 'stop' };
  } });
} };`;
const textOf = (tokens: number) =>
  Array.from({ length: tokens }, (_, index) =>
    String.fromCharCode(97 + (index % 26)).repeat(tokenChars),
  ).join('');

/** What the buffers of the operating system can take of one connection that nobody reads. */
function swallowedBytes(): number {
  const most = (name: string) =>
    Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[2]);
  try {
    return most('tcp_rmem') + most('tcp_wmem');
  } catch {
    return 16 * 1024 * 1024; // Not Linux, where they are smaller.
  }
}

describe('a hundred readers that stop reading', () => {
  it('do not hold up a hundred that read on, take bounded memory, and can come back', async () => {
    const server = await startServer({
      config: {
        plugins: {
          big: { use: './big.js' },
          'transport-uws': { config: { stallTimeoutMs, backlogLimitBytes } },
          'streams-memory': { config: { replyLimitChars: 1_000_000_000, totalLimitChars: 1_000_000_000 } },
        },
      },
      files: { 'big.js': bigAgent },
    });
    const rss = async () => {
      const { rss: bytes } = (await (await fetch(`${server.url}/memory`)).json()) as { rss: number };
      return bytes;
    };
    const connect = async (id: string) => {
      const socket = new WebSocket(`${server.ws}/${id}`);
      await once(socket, 'open');
      return socket;
    };

    const ask = async (name: string, maxTokens: number) => {
      const owner = await WsClient.connect(`${server.ws}/${name}`);
      owner.send({ type: 'stream_request', content: 'Hallo', agent: 'big', options: { maxTokens } });
      const { streamId } = await owner.until((frame) => frame.type === 'streaming_start');
      return { owner, streamId: streamId as string };
    };

    /** A hundred readers of one reply, of which every one gets the whole text; the longest wait but for one frame in a thousand. */
    const longestGapMs = async (name: string) => {
      const { owner, streamId } = await ask(name, 50);
      const whole = textOf(50);
      const gaps: number[] = [];
      const read = async (id: number) => {
        const socket = await connect(`${name}${id}`);
        let text = '';
        let last: number | undefined;
        await new Promise<void>((resolve) => {
          socket.on('message', (data) => {
            const now = performance.now();
            if (last !== undefined) gaps.push(now - last);
            last = now;
            const frame = JSON.parse(String(data));
            if (frame.type === 'streaming_token') text += frame.content;
            if (frame.type === 'streaming_end') resolve();
          });
          socket.send(JSON.stringify({ type: 'resume', streamId }));
        });
        expect(text === whole).toBe(true);
        socket.terminate();
      };
      await Promise.all(Array.from({ length: 100 }, (_, id) => read(id)));
      owner.socket.terminate();
      gaps.sort((a, b) => a - b);
      return gaps[Math.floor(gaps.length * 0.999)] as number;
    };

    const alone = await longestGapMs('alone');
    const before = await rss();
    let peak = 0;
    const watch = setInterval(() => {
      void rss().then((bytes) => {
        peak = Math.max(peak, bytes);
      });
    }, 200);
    const stall = async (id: string, streamId: string) => {
      const socket = await connect(id);
      socket.pause();
      socket.send(JSON.stringify({ type: 'resume', streamId }));
      return socket;
    };
    const large = await ask('large', 200);
    const stalled: WebSocket[] = [];
    for (let id = 0; id < 100; id++) stalled.push(await stall(`stalled${id}`, large.streamId));
    const beside = await longestGapMs('beside');
    await large.owner.until((frame) => frame.type === 'streaming_end');
    clearInterval(watch);
    // Whoever had to wait for one that does not read would wait for the stall timeout.
    expect(beside).toBeLessThan(Math.max(100, 3 * alone));
    // A copy for everybody who does not read would be 1.3 GB.
    expect(peak - before).toBeLessThan(100 * backlogLimitBytes + 150 * 1024 * 1024);

    for (const socket of stalled) socket.terminate();
    await large.owner.close();

    // Who had stopped was closed; what was missed is there on another connection.
    const tokens = Math.ceil((swallowedBytes() + backlogLimitBytes) / tokenChars) + 20;
    const huge = await ask('huge', tokens);
    const seen = server.logs.length;
    const one = await stall('one', huge.streamId);
    await huge.owner.until((frame) => frame.type === 'streaming_end');
    const closed = once(one, 'close');
    await server.untilLog((line) => line.msg.includes('too slow') && server.logs.indexOf(line) >= seen);
    one.resume();
    expect([4429, 1006]).toContain((await closed)[0]);
    const back = await WsClient.connect(`${server.ws}/one`);
    const whole = textOf(tokens);
    back.send({ type: 'resume', streamId: huge.streamId, position: whole.length - 10 });
    await back.until((frame) => frame.type === 'streaming_end');
    expect(back.frames.map((frame) => frame.content ?? '').join('')).toBe(whole.slice(-10));
    await back.close();
    await huge.owner.close();
    expect(await server.stop()).toBe(0);
  }, 60_000);
});

describe('a thousand readers that never read', () => {
  it('take bounded memory, and the one who reads has everything', async () => {
    const limitBytes = 64 * 1024;
    const server = await startServer({
      config: {
        plugins: {
          big: { use: './big.js' },
          'transport-uws': {
            config: {
              maxConnections: 1100,
              stallTimeoutMs,
              backlogLimitBytes: 2 * limitBytes,
              highWaterMarkBytes: limitBytes,
            },
          },
          'streams-memory': { config: { replyLimitChars: 20_000_000 } },
        },
      },
      files: { 'big.js': bigAgent },
    });
    const rss = async () => {
      const { rss: bytes } = (await (await fetch(`${server.url}/memory`)).json()) as { rss: number };
      return bytes;
    };
    const sockets = await Promise.all(
      Array.from({ length: 1000 }, async (_, id) => {
        const socket = new WebSocket(`${server.ws}/never${id}`);
        await once(socket, 'open');
        socket.pause();
        return socket;
      }),
    );
    const before = await rss();
    const owner = await WsClient.connect(`${server.ws}/owner`);
    owner.send({ type: 'stream_request', content: 'Hallo', agent: 'big', options: { maxTokens: 200 } });
    const { streamId } = await owner.until((frame) => frame.type === 'streaming_start');
    for (const socket of sockets) socket.send(JSON.stringify({ type: 'resume', streamId }));
    await owner.until((frame) => frame.type === 'streaming_end');
    expect(owner.frames.map((frame) => frame.content ?? '').join('') === textOf(200)).toBe(true);
    // Copies would be 12.8 GB.
    expect((await rss()) - before).toBeLessThan(1000 * 2 * limitBytes + 200 * 1024 * 1024);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    for (const socket of sockets) socket.terminate();
    await owner.close();
    expect(await server.stop()).toBe(0);
  }, 60_000);
});
