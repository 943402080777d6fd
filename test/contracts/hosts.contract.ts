import { hostname } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import type { Plugin } from '../../kernel/index.js';
import { httpRequest, parseResponseHead, RawClient } from '../support/raw-client.js';
import { Client, call, type RunningTransport, refusedUpgrade, runTransport } from '../support/transport.js';

const refusal = (status: number, code: string) => ({ status, code });
const unknown = refusal(421, 'HOST_NOT_ALLOWED');
const malformed = refusal(400, 'INVALID_REQUEST');

/** A page that points its own name at this machine gets nothing from this server. */
export function hostsContract(name: string, plugin: Plugin): void {
  let server: RunningTransport;
  let served: string[];
  const run = async (config?: Partial<TransportConfig>) => {
    server = await runTransport(plugin, config);
    served = [];
    for (const method of ['GET', 'POST'] as const)
      server.route({
        method,
        path: '/x',
        handler: (_, reply) => {
          served.push(method);
          reply.json(200, 'x');
        },
      });
    server.websocket({
      path: '/ws',
      open: () => {
        served.push('WebSocket');
        return { message: () => {} };
      },
    });
    return server;
  };
  afterEach(() => server.kernel.stop());

  describe(`${name}: hosts`, () => {
    it.each([
      'localhost',
      'localhost:9797',
      'LocalHost:9797',
      'localhost.',
      'localhost.:80',
      'localhost:',
      '127.0.0.1',
      '127.0.0.1:9797',
      '192.168.1.20:80',
      '[::1]',
      '[::1]:9797',
      '[FE80::1]:9797',
      hostname(),
      `${hostname().toUpperCase()}:9797`,
      'chat.example.com',
      'CHAT.example.com:443',
      'chat.example.com.',
      'under_score',
    ])('answers to %s', async (host) => {
      const { port } = await run({ allowedHosts: ['Chat.Example.com', 'under_score'] });
      const headers = { host };
      for (const method of ['GET', 'POST'])
        expect(await call(port, { method, path: '/x', headers })).toMatchObject({ status: 200 });
      const client = await Client.open(port, '/ws', { headers });
      client.ws.terminate();
      expect(served).toEqual(['GET', 'POST', 'WebSocket']);
    });

    it.each([
      ['evil.test', unknown],
      ['evil.test:9797', unknown],
      ['localhost.evil.test', unknown],
      ['evil-localhost', unknown],
      ['127.0.0.1.evil.test', unknown],
      ['127.0.0.1.nip.io', unknown],
      [`${hostname()}.evil.test`, unknown],
      ['sub.chat.example.com', unknown],
      ['example.com', unknown],
      ['chat.example.com.evil.test', unknown],
      ['localhost..', unknown],
      ['*', malformed],
      ['evil.test/localhost', malformed],
      ['evil.test#localhost', malformed],
      ['localhost@evil.test', malformed],
      ['evil.test:80@localhost', malformed],
      ['http://localhost', malformed],
      ['localhost:x', malformed],
      ['localhost, evil.test', malformed],
      ['local host', malformed],
      ['[::1', malformed],
      ['::1', malformed],
      ['[evil.test]', malformed],
    ])('refuses %j', async (host, { status, code }) => {
      const { port } = await run({ allowedHosts: ['chat.example.com'] });
      const headers = {
        host,
        origin: `http://${host}`,
        'x-forwarded-host': 'localhost',
        forwarded: 'host=localhost',
      };
      for (const method of ['GET', 'POST', 'HEAD', 'OPTIONS', 'DELETE']) {
        const client = await RawClient.connect(port);
        await client.send(httpRequest({ method, path: '/x', headers }));
        const text = (await client.waitForEnd()).toString();
        const head = parseResponseHead(client.bytes);
        expect(head).toMatchObject({ status, headers: { connection: 'close' } });
        expect(head?.headers).not.toHaveProperty('access-control-allow-origin');
        if (method !== 'HEAD') expect(text).toContain(`"${code}"`);
        if (method !== 'HEAD' && status === 421) expect(text).toContain('\\"allowedHosts\\"');
        await client.close();
      }
      expect(await refusedUpgrade(port, '/ws', { headers })).toEqual({ status, code });
      expect(served).toEqual([]);
    });

    it.each([
      ['two of them', ['localhost', 'evil.test']],
      ['two of them, the good one last', ['evil.test', 'localhost']],
      ['one twice', ['localhost', 'localhost']],
      ['an empty one', ''],
    ])('refuses %s', async (_, host) => {
      const { port } = await run();
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/x', headers: { host } }));
      expect((await client.waitForEnd()).toString()).toMatch(/^HTTP\/1\.1 400 .*INVALID_REQUEST/s);
      await client.close();
      expect(served).toEqual([]);
    });

    it('does nothing for a request without one', async () => {
      const { port } = await run();
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/x', headers: { host: undefined } }));
      // By then the server has read it; uWebSockets waits for more.
      expect((await call(port, { path: '/none' })).status).toBe(404);
      expect(client.text).toMatch(/^(HTTP\/1\.1 400 .*|)$/s);
      await client.close();
      expect(served).toEqual([]);
    });

    it('answers to any name where the config says so', async () => {
      const { port } = await run({ allowedHosts: ['*'] });
      expect((await call(port, { path: '/x', headers: { host: 'evil.test' } })).status).toBe(200);
      expect((await call(port, { path: '/x', headers: { host: 'evil.test/x' } })).status).toBe(400);
    });

    it.each(['https://chat.example.com', 'chat.example.com:443', '*.example.com', 'a b', ''])(
      'refuses %j in the config, and says what it expects',
      async (host) => {
        await run();
        await expect(runTransport(plugin, { allowedHosts: [host] })).rejects.toMatchObject({
          code: 'KERNEL_CONFIG_INVALID',
          message: expect.stringMatching(/allowedHosts.*"chat\.example\.com"/),
        });
      },
    );
  });
}
