import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { only, runWaggle, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

const chat = ['agent-ollama', 'tasks-tinypool', 'agent-queen', 'streams-memory', 'store-memory'];
/** Who is alone loads no more than this. */
const few = only('transport-uws', 'endpoint-chat', 'endpoint-health', ...chat);

let fake: FakeOllama | undefined;
afterEach(async () => {
  await fake?.close();
  fake = undefined;
});

/** A server with `count` clients that read a stream of this model, each past its first token. */
async function streaming(count: number, model: string, drainTimeoutMs: number) {
  fake = await startFakeOllama();
  const server = await startServer({
    env: { OLLAMA_HOST: fake.url },
    config: { server: { drainTimeoutMs } },
  });
  const clients = await Promise.all(
    Array.from({ length: count }, async (_, id) => {
      const client = await WsClient.connect(`${server.ws}/c${id}`);
      client.send({ type: 'stream_request', content: 'Hallo', model });
      await client.until((frame) => frame.type === 'streaming_token');
      return client;
    }),
  );
  return { server, clients, fake };
}

describe('SIGTERM', () => {
  it('while nothing runs ends the process with 0; the last line says so', async () => {
    const server = await startServer({ alone: true, config: { plugins: few } });
    expect(await server.stop()).toBe(0);
    expect(server.logs.at(-1)).toMatchObject({ msg: 'shutdown complete', exitCode: 0 });
  });

  it('with 100 running streams: not ready at once, new work refused, every stream runs to its end, then 1001', async () => {
    const model = 'slow-tokens?ms=20&n=40';
    const { server, clients, fake } = await streaming(100, model, 20_000);
    const late = await WsClient.connect(`${server.ws}/late`);
    server.signal('SIGTERM');
    await server.untilLog((line) => line.signal === 'SIGTERM');

    const ready = await fetch(`${server.url}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ reasons: ['the server is draining'] });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const [refused] = await late.ask({ content: 'Hallo', requestId: 'q' });
    expect(refused).toMatchObject({
      type: 'error',
      code: 'SHUTTING_DOWN',
      requestId: 'q',
      retryAfterMs: expect.any(Number),
    });
    const chat = await fetch(`${server.url}/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ content: 'x', user_id: 'u' }),
    });
    expect(chat.status).toBe(503);
    expect(chat.headers.get('retry-after')).not.toBeNull();

    for (const client of clients) {
      expect(await client.closed).toMatchObject({ code: 1001 });
      // On a busy machine some have ended before the last one began.
      expect(client.frames.findLast(({ type }) => type !== 'server_draining')?.type).toBe('streaming_end');
      expect(textOf(client.frames)).toBe(fake.expectedText(model));
    }
    expect(await late.closed).toMatchObject({ code: 1001 });
    expect(await server.exited).toBe(0);
  });

  it('with 100 streams that do not end in time: each gets one terminal frame that names the shutdown', async () => {
    const { server, clients, fake } = await streaming(100, 'endless?ms=20', 200);
    expect(await server.stop()).toBe(0);
    for (const client of clients) {
      expect(await client.closed).toMatchObject({ code: 1001 });
      const ends = client.frames.filter(
        (frame) => !/streaming_(start|token)|server_draining/.test(frame.type),
      );
      expect(ends).toEqual([expect.objectContaining({ type: 'cancelled', reason: 'shutdown' })]);
      expect(client.frames.at(-1)).toBe(ends[0]);
    }
    await fake.waitForOpenSockets(0);
  });

  it('ends an HTTP stream with its terminal event', async () => {
    fake = await startFakeOllama();
    const server = await startServer({
      alone: true,
      env: { OLLAMA_HOST: fake.url },
      config: { server: { drainTimeoutMs: 100 }, plugins: few },
    });
    const response = await fetch(`${server.url}/chat/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ content: 'x', user_id: 'u', model: 'endless?ms=10' }),
    });
    server.signal('SIGTERM');
    const lines = (await response.text()).trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ type: 'cancelled', reason: 'shutdown' });
    expect(await server.exited).toBe(0);
  });

  it('during the start ends it cleanly', async () => {
    const run = await runWaggle('start', {
      alone: true,
      config: { plugins: { ...few, slow: { use: './slow.js' } } },
      files: {
        'slow.js': `export default { name: 'slow', apiVersion: 1, setup(ctx) {
          ctx.logger.info('in setup');
          return new Promise(() => {});
        } };`,
      },
    });
    await run.untilLog((line) => line.msg === 'in setup');
    expect(await run.stop()).toBe(0);
    expect(run.logs.at(-1)?.msg).toBe('shutdown complete');
    expect(run.stderr).toBe('');
  });

  it('to npm reaches the server behind it', async () => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const env = { ...process.env, HOST: '127.0.0.1', PORT: '0', OLLAMA_HOST: 'http://127.0.0.1:9' };
    // Without `prestart`, so that no build runs beside the tests.
    const npm = spawn('npm', ['start', '--ignore-scripts'], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: npm.stdout });
    for await (const line of lines) {
      if (line.includes('"msg":"started"')) npm.kill('SIGTERM');
      if (line.includes('shutdown complete')) {
        expect(JSON.parse(line)).toMatchObject({ exitCode: 0 });
        return;
      }
    }
    expect.fail('the server did not say that it had stopped');
  });

  it('twice ends the process at once with 130', async () => {
    const { server, clients } = await streaming(1, 'endless?ms=20', 60_000);
    server.signal('SIGTERM');
    await server.untilLog((line) => line.signal === 'SIGTERM');
    server.signal('SIGINT');
    expect(await server.exited).toBe(130);
    expect(await clients[0]?.closed).toMatchObject({ code: 1006 });
  });
});
