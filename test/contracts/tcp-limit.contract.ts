import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import type { Plugin } from '../../kernel/index.js';
import { httpRequest, RawClient, RawWebSocket } from '../support/raw-client.js';
import { call, type RunningTransport, runTransport } from '../support/transport.js';

const get = httpRequest({ path: '/x', headers: { Host: 'localhost' } });

/** Opens a connection and tells the status that it gets for a request, or at once. */
async function attempt(
  port: number,
  localAddress = '127.0.0.1',
): Promise<{ client: RawClient; status: string }> {
  const client = await RawClient.connect({ port, localAddress });
  // It may be closed already.
  await client.send(get).catch(() => {});
  const text = await client.waitForText('\r\n\r\n');
  return { client, status: text.slice(9, 12) };
}

/** How many more than it may have are refused, and that nothing of it lasts. */
export function tcpLimitContract(name: string, plugin: Plugin): void {
  describe(`${name}: TCP connections`, () => {
    let server: RunningTransport | undefined;
    const clients: RawClient[] = [];
    afterEach(async () => {
      for (const client of clients.splice(0)) await client.close();
      await server?.kernel.stop();
    });
    const run = async (config: Partial<TransportConfig>) => {
      server = await runTransport(plugin, config);
      server.route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 'x') });
      server.websocket({ path: '/ws', open: () => ({ message: () => {} }) });
      return server;
    };
    const served = async (port: number, localAddress?: string): Promise<string> => {
      const { client, status } = await attempt(port, localAddress);
      clients.push(client);
      return status;
    };
    /** The server learns of the end of a connection in its own time. */
    const untilServed = async (port: number) => {
      while ((await call(port, { path: '/x' }).catch(() => undefined))?.status !== 200) await sleep(10);
    };

    it('have a limit, which idle ones count for, and a place again when one leaves', async () => {
      const { port, log } = await run({ maxHttpConnections: 4 });
      for (let open = 0; open < 4; open++) expect(await served(port)).toBe('200');
      for (let more = 0; more < 3; more++) expect(await served(port)).toBe('503');
      expect(log.filter(({ limit }) => limit !== undefined)).toMatchObject([
        { level: 'warn', refused: 1, open: 4, limit: 4 },
      ]);
      await clients.shift()?.close();
      await untilServed(port);
    });

    it('that never send a byte count, too', async () => {
      const { port } = await run({ maxHttpConnections: 4 });
      for (let open = 0; open < 4; open++) clients.push(await RawClient.connect(port));
      expect(await served(port)).toBe('503');
      for (const client of clients.splice(0)) await client.close();
      await untilServed(port);
    });

    it.skipIf(process.platform !== 'linux')('have a limit for each address', async () => {
      const { port } = await run({ maxHttpConnections: 6, maxHttpConnectionsPerAddress: 3 });
      for (let open = 0; open < 3; open++) expect(await served(port, '127.0.0.2')).toBe('200');
      expect(await served(port, '127.0.0.2')).toBe('503');
      for (let open = 0; open < 3; open++) expect(await served(port, '127.0.0.3')).toBe('200');
      expect(await served(port, '127.0.0.3')).toBe('503');
      expect(await served(port, '127.0.0.4')).toBe('503');
      for (const client of clients.splice(0, 3)) await client.close();
      while ((await served(port, '127.0.0.4')) !== '200') await sleep(10);
    });

    it('leave room for as many WebSockets as there may be', async () => {
      const { port, transport } = await run({
        maxConnections: 10,
        maxHttpConnections: 2,
        maxHttpConnectionsPerAddress: 1,
      });
      for (let open = 1; open <= 10; open++) {
        clients.push((await RawWebSocket.open(port, { path: '/ws', headers: { Host: 'localhost' } })).client);
        expect(transport.connections.open).toBe(open);
      }
      expect(await served(port)).toBe('200');
      expect(await served(port)).toBe('503');
      for (const client of clients.splice(0)) await client.close();
      await untilServed(port);
    });
  });

  describe.skipIf(process.platform !== 'linux')(`${name}: with few file descriptors`, () => {
    const script = `
      import { closeSync, openSync } from 'node:fs';
      import { createLogger, Kernel, Transport } from './dist/kernel/sdk/all.js';
      import plugin from './dist/plugins/${name}/index.js';
      const kernel = new Kernel({ logger: createLogger('silent') });
      kernel.use(plugin, { config: { host: '127.0.0.1', port: 0 } });
      await kernel.start();
      const transport = kernel.get(Transport);
      transport.route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 'x') });
      const files = [];
      process.stdin.on('data', (text) => {
        if (String(text) === 'end') return void kernel.stop().then(() => process.stdin.destroy());
        if (String(text) === 'free') for (const file of files.splice(0)) closeSync(file);
        else try { for (;;) files.push(openSync('/dev/null')); } catch {}
        console.log(files.length);
      });
      console.log(transport.address.port);
    `;
    const start = async () => {
      const limited = `ulimit -n 192; exec "$0" --input-type=module -e "$1"`;
      const child = spawn('sh', ['-c', limited, process.execPath, script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const ask = async (what: string) => {
        child.stdin.write(what);
        return Number((await lines.next()).value);
      };
      return { child, port: Number((await lines.next()).value), ask };
    };
    /** Its CPU time in a while, as a part of that. */
    const load = async ({ pid }: ChildProcess) => {
      const ticks = () => {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
        return Number(fields[13]) + Number(fields[14]);
      };
      const [before, fromMs] = [ticks(), performance.now()];
      await sleep(500);
      return ((ticks() - before) * 10) / (performance.now() - fromMs);
    };
    const answers = async (port: number) => (await call(port, { path: '/x' }).catch(() => undefined))?.status;
    const end = async (child: ChildProcess) => {
      child.stdin?.write('end');
      expect(await once(child, 'exit')).toEqual([0, null]);
    };

    it('connections that send nothing, more than there are descriptors, cost nobody anything once they are gone', async () => {
      const { child, port } = await start();
      const silent = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(port)));
      // The server is at its limit and says so.
      await Promise.all(silent.slice(-50).map((client) => client.waitForEnd()));
      expect(await load(child)).toBeLessThan(0.3);
      for (const client of silent) await client.close();
      while ((await answers(port)) !== 200) await sleep(10);
      await end(child);
    });

    it('none left at all does not keep the processor busy, and passes', async () => {
      const { child, port, ask } = await start();
      expect(await ask('fill')).toBeGreaterThan(10);
      // It must come to notice, by one that it cannot accept.
      const waiting = RawClient.connect(port).then((client) => client.closed);
      await waiting.catch(() => {});
      expect(await load(child)).toBeLessThan(0.3);
      expect(await ask('free')).toBe(0);
      while ((await answers(port)) !== 200) await sleep(10);
      await end(child);
    });
  });
}
