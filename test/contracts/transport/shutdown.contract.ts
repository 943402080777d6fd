import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Plugin, Socket } from '../../../kernel/index.js';
import { leakCheck } from '../../support/leaks.js';
import { httpRequest, RawClient, RawWebSocket } from '../../support/raw-client.js';
import { Client, call, deferred, runTransport } from '../../support/transport.js';
import { hasIPv6, transportRunner } from './stage.js';

// Built, as a process of its own runs it.
const kernelUrl = pathToFileURL(createRequire(import.meta.url).resolve('waggle-server'));

/** Start, draining and stop. */
export function shutdownContract(name: string, plugin: Plugin, module: string): void {
  const run = transportRunner(plugin);

  describe(`${name}: start and stop`, () => {
    it('logs where it listens', async () => {
      const { log, port, transport } = await run();
      expect(transport.address).toEqual({ host: '127.0.0.1', port });
      expect(log).toContainEqual(expect.objectContaining({ level: 'info', host: '127.0.0.1', port }));
    });

    it('refuses a port that is taken, and gives the reason', async () => {
      const { port } = await run();
      const failure = await runTransport(plugin, { port }).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 'KERNEL_PLUGIN_FAILED',
        message: expect.stringContaining('EADDRINUSE'),
      });
      expect((failure as Error).cause).toMatchObject({
        code: 'LISTEN_FAILED',
        details: { host: '127.0.0.1', port, why: 'EADDRINUSE' },
      });
      expect((await call(port, { path: '/' })).status).toBe(404);
    });

    it('refuses an address that is not of this machine', async () => {
      const failure = await runTransport(plugin, { host: '203.0.113.1' }).catch((error: unknown) => error);
      expect((failure as Error).cause).toMatchObject({
        code: 'LISTEN_FAILED',
        details: { why: 'EADDRNOTAVAIL' },
      });
    });

    it.skipIf(!hasIPv6)('writes an IPv4 address as one, also on an IPv6 socket', async () => {
      const { port, route } = await run({ host: '::' });
      route({
        method: 'GET',
        path: '/x',
        handler: (request, reply) => reply.json(200, request.remoteAddress),
      });
      expect((await call(port, { path: '/x' })).json).toBe('127.0.0.1');
      expect(await (await fetch(`http://[::1]:${port}/x`)).json()).toBe('::1');
    });

    it.each([
      ['port', 65536],
      ['port', '9797'],
      ['idleTimeoutS', 7],
      ['idleTimeoutS', 961],
      ['maxConnections', 0],
      ['stallTimeoutMs', 2 ** 31],
      ['nonsense', 1],
    ])('refuses the config %s: %j before it starts anything', async (key, value) => {
      await expect(runTransport(plugin, { [key]: value } as never)).rejects.toMatchObject({
        code: 'KERNEL_CONFIG_INVALID',
        message: expect.stringContaining(key),
      });
    });

    it('keeps serving while it drains, and asks clients to reconnect', async () => {
      const { kernel, port, route, websocket, drainUntil } = await run();
      const [draining, over] = [deferred(), deferred()];
      drainUntil(over.promise);
      route({ method: 'GET', path: '/ready', handler: (_, reply) => reply.json(503, 'draining') });
      websocket({ path: '/ws', open: (socket) => ({ message: (text) => void socket.send(text) }) });
      kernel.bus.on('kernel:state', ({ to }) => {
        if (to === 'draining') setImmediate(draining.resolve);
      });
      const stopped = kernel.stop();
      await draining.promise;
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/ready' }));
      const text = (await client.waitForEnd()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 503 .*\r\nConnection: close\r\n.*"draining"$/is);
      const late = await Client.open(port, '/ws');
      late.send('x');
      expect(await late.take(1)).toEqual(['x']);
      over.resolve();
      await stopped;
      expect(await late.closed).toMatchObject({ code: 1001 });
    });

    it('lets an answer finish that has begun', async () => {
      const { kernel, port, route, transport } = await run({ closeTimeoutMs: 5000 });
      const [begun, go] = [deferred(), deferred()];
      route({
        method: 'GET',
        path: '/x',
        handler: async (_, reply) => {
          begun.resolve();
          await go.promise;
          reply.json(200, 'done');
        },
      });
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/x' }));
      await begun.promise;
      const other = await RawClient.connect(port);
      const late = httpRequest({ path: '/' });
      await other.send(late);
      await other.waitForText('}}');
      await other.send(late.subarray(0, 20));
      // By the answer to this one, the server has seen the half of that one.
      await call(port, { path: '/' });
      const stopped = kernel.stop();
      while (transport.address) await sleep(1);
      await other.send(late.subarray(20));
      await other.waitForText('"SHUTTING_DOWN"');
      go.resolve();
      const text = (await client.waitForEnd()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n.*"done"$/is);
      await stopped;
    });

    it('cuts an answer that does not finish in time', async () => {
      const { kernel, port, route } = await run({ closeTimeoutMs: 50 });
      const aborted = deferred();
      const begun = deferred();
      route({
        method: 'GET',
        path: '/x',
        handler: (request) => {
          request.signal.addEventListener('abort', () => aborted.resolve());
          begun.resolve();
        },
      });
      const answer = call(port, { path: '/x' }).catch((error: unknown) => error);
      await begun.promise;
      await kernel.stop();
      await aborted.promise;
      expect(await answer).toBeInstanceOf(Error);
    });

    it('closes every connection with 1001 after its last frame, and leaves nothing behind', async () => {
      const leaks = leakCheck();
      const { kernel, port, websocket, transport, told } = await run();
      websocket({
        path: '/ws',
        open: (socket) => ({ message: () => {}, closed: () => void socket.send('late') }),
      });
      const idle = await RawClient.connect(port);
      await idle.send(httpRequest({ path: '/' }));
      await idle.waitForText('}}');
      const clients = await Promise.all(Array.from({ length: 50 }, () => Client.open(port, '/ws')));
      await kernel.stop();
      for (const client of clients) expect(await client.closed).toMatchObject({ code: 1001 });
      const codes = told.flatMap(({ name, event }) => (name === 'connection:closed' ? [event.code] : []));
      expect(codes).toEqual(Array(50).fill(1001));
      await idle.closed;
      expect(transport.address).toBeUndefined();
      expect(transport.connections.open).toBe(0);
      await expect(RawClient.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      await leaks.settled();
    });

    it('delivers buffered frames before it closes', async () => {
      const { kernel, port, websocket } = await run({
        closeTimeoutMs: 5000,
        backlogLimitBytes: 64 * 1024 * 1024,
      });
      const opened = deferred<Socket>();
      websocket({
        path: '/ws',
        open: (socket) => {
          opened.resolve(socket);
          return { message: () => {} };
        },
      });
      const client = await Client.open(port, '/ws');
      client.ws.pause();
      const socket = await opened.promise;
      let count = 1;
      while (socket.send('x'.repeat(10_000))) count++;
      const stopped = kernel.stop();
      setImmediate(() => client.ws.resume());
      await stopped;
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(client.messages).toHaveLength(count);
    });

    it('emits connection:closed for a connection whose peer stopped reading', async () => {
      const { kernel, port, websocket, told } = await run({ closeTimeoutMs: 50, backlogLimitBytes: 1e9 });
      const opened = deferred<Socket>();
      websocket({
        path: '/ws',
        open: (socket) => {
          opened.resolve(socket);
          return { message: () => {} };
        },
      });
      const client = await Client.open(port, '/ws');
      client.ws.pause();
      const socket = await opened.promise;
      socket.send(Array(2000).fill('x'.repeat(10_000)));
      expect(socket.bufferedBytes).toBeGreaterThan(0);
      await kernel.stop();
      expect(told.map(({ name }) => name)).toEqual(['connection:opened', 'connection:closed']);
      client.ws.terminate();
    });

    it('lets the process exit by itself', async () => {
      const script = `
        import { createLogger, Kernel, Transport } from '${kernelUrl}';
        import plugin from '${module}';
        const kernel = new Kernel({ logger: createLogger('silent') });
        const limits = { requestTimeoutMs: 50, stallTimeoutMs: 50, backlogLimitBytes: 1e9 };
        kernel.use(plugin, { config: { host: '127.0.0.1', port: 0, ...limits } });
        await kernel.start();
        const transport = kernel.get(Transport);
        transport.route({ method: 'GET', path: '/never', handler: () => {} });
        transport.route({ method: 'GET', path: '/throw', handler: () => { throw new Error('x'); } });
        transport.websocket({ path: '/ws', open: (socket) => ({ message: () => { socket.send('x'); throw new Error('x'); } }) });
        transport.websocket({ path: '/flood', open: (socket) => {
          socket.send(Array(3000).fill('x'.repeat(10000)));
          return { message: () => {}, closed: (code) => console.log(code) };
        } });
        console.log(transport.address.port);
        process.stdin.resume().on('end', () => kernel.stop());
      `;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      const exit = once(child, 'exit');
      const [line] = await once(child.stdout, 'data');
      const port = Number(line);
      expect((await call(port, { path: '/never' })).status).toBe(504);
      expect((await call(port, { path: '/throw' })).status).toBe(500);
      const client = await Client.open(port, '/ws');
      client.send('x');
      await client.take(1);
      const slow = await RawWebSocket.open(port, { path: '/flood' });
      slow.client.pause();
      expect(Number((await once(child.stdout, 'data'))[0])).toBe(4429);
      const open = await RawClient.connect(port);
      await open.send(httpRequest({ path: '/throw' }));
      await open.waitForText('}}');
      child.stdin.end();
      expect(await exit).toEqual([0, null]);
      expect(await client.closed).toMatchObject({ code: 1001 });
      await open.closed;
      slow.client.resume();
      await slow.client.closed;
    });

    it('can be started again on the same port', async () => {
      const first = await run();
      await first.kernel.stop();
      const second = await run({ port: first.port });
      expect(second.port).toBe(first.port);
      expect((await call(second.port, { path: '/' })).status).toBe(404);
    });
  });
}
