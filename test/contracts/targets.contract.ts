import { afterEach, describe, expect, it } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import type { Plugin } from '../../kernel/index.js';
import { httpRequest, RawClient } from '../support/raw-client.js';
import { Client, call, type RunningTransport, runTransport } from '../support/transport.js';

const trusted = { trustedProxies: ['127.0.0.0/8'] };
const evil = [
  '//evil.test',
  'javascript:alert(1)',
  'https://evil.test',
  '/a"onload="x',
  '/a b',
  '/../x',
  '/a/..',
];

/** Requests reach what they mean, however clients and proxies in front spell that. */
export function targetsContract(name: string, plugin: Plugin): void {
  let server: RunningTransport;
  /** Routes that say what reached them. */
  const run = async (config?: Partial<TransportConfig>) => {
    server = await runTransport(plugin, config);
    for (const path of ['/', '/x', '/x/{id}', '/models/{id*}', '/waggle/inner'])
      server.route({
        method: 'GET',
        path,
        handler: ({ params, basePath, origin, remoteAddress }, reply) =>
          reply.json(200, { path, params, basePath, origin, remoteAddress }),
      });
    server.route({
      method: 'POST',
      path: '/x',
      handler: async (request, reply) => reply.json(200, await request.json()),
    });
    server.websocket({
      path: '/ws/{id}',
      protocol: 'waggle.v1',
      open: (socket) => ({
        message: () => {
          const { params, remoteAddress } = socket;
          socket.send(JSON.stringify({ params, remoteAddress }));
        },
      }),
    });
    server.websocket({ path: '/plain', open: () => ({ message: () => {} }) });
    return server.port;
  };
  afterEach(() => server.kernel.stop());

  describe(`${name}: paths`, () => {
    it.each([
      ['/x', '/x', {}],
      ['/x/', '/x', {}],
      ['//x', '/x', {}],
      ['///x//', '/x', {}],
      ['/', '/', {}],
      ['//', '/', {}],
      ['/x//1', '/x/{id}', { id: '1' }],
      ['/x/1/', '/x/{id}', { id: '1' }],
      ['/%78', '/x', {}],
      ['/x/%2F', undefined, {}],
      ['/x/a%2Fb', undefined, {}],
      ['/x/%2578', '/x/{id}', { id: '%78' }],
      ['/models/a/b', '/models/{id*}', { id: 'a/b' }],
      ['/models/a//b', '/models/{id*}', { id: 'a/b' }],
      ['/models/a%2F%2Fb', '/models/{id*}', { id: 'a//b' }],
      ['//models//a/b/', '/models/{id*}', { id: 'a/b' }],
      ['/X', undefined, {}],
      ['/none//', undefined, {}],
      ['//evil.test/..', undefined, {}],
      ['//evil.test/%2e%2e', undefined, {}],
      ['/\\evil.test', undefined, {}],
      ['/x/..', '/x/{id}', { id: '..' }],
    ])('%s', async (path, route, params) => {
      const answer = await call(await run(), { path });
      expect(answer.headers).not.toHaveProperty('location');
      if (route === undefined) expect(answer.status).toBe(404);
      else expect(answer.json).toMatchObject({ path: route, params });
    });

    it('take a body and methods as any other', async () => {
      const port = await run();
      const headers = { 'content-type': 'application/json' };
      expect(await call(port, { method: 'POST', path: '//x/', headers, body: '{"a":1}' })).toMatchObject({
        status: 200,
        text: '{"a":1}',
      });
      expect((await call(port, { method: 'DELETE', path: '/x/' })).headers.allow).toBe(
        'GET, POST, HEAD, OPTIONS',
      );
      expect((await call(port, { method: 'OPTIONS', path: '//x' })).status).toBe(204);
      for (const path of ['/ws/me/', '//ws/me', '/ws//me']) {
        const client = await Client.open(port, path);
        client.send('');
        expect(JSON.parse((await client.take(1))[0] as string).params).toEqual({ id: 'me' });
        client.ws.terminate();
      }
    });

    it('keep the words of their part for errors', async () => {
      const port = await run({ basePath: '/waggle' });
      server.transport.errors({ path: '/v1', format: () => ({ status: 418, body: 'its own' }) });
      for (const path of ['/v1/none', '//v1/none', '/v1//none/', '/waggle/v1/none', '/waggle//v1/none'])
        expect((await call(port, { path })).status).toBe(418);
    });
  });

  describe(`${name}: a base path`, () => {
    it.each(['/waggle', '/waggle/', '/a.b/c-d', '/a_b~'])(
      '%s, cut off by a proxy or not',
      async (basePath) => {
        const port = await run({ basePath });
        const plain = basePath.replace(/\/$/, '');
        expect(server.transport.basePath).toBe(plain);
        for (const path of ['/x', `${plain}/x`, `${plain}//x/`, `/${plain}/x`])
          expect((await call(port, { path })).json).toMatchObject({ path: '/x', basePath: plain });
        for (const path of ['/', plain, `${plain}/`])
          expect((await call(port, { path })).json).toMatchObject({ path: '/', basePath: plain });
        expect((await call(port, { path: `${plain}x` })).status).toBe(404);
        for (const path of ['/ws/me', `${plain}/ws/me`, `${plain}/ws/me/`])
          (await Client.open(port, path)).ws.terminate();
      },
    );

    it('that is the beginning of a route, too', async () => {
      const port = await run({ basePath: '/waggle' });
      for (const path of ['/waggle/inner', '/waggle/waggle/inner'])
        expect((await call(port, { path })).json).toMatchObject({ path: '/waggle/inner' });
    });

    it.each(['', '/'])('%j is none', async (basePath) => {
      const port = await run({ basePath });
      expect((await call(port, { path: '/x' })).json).toMatchObject({ basePath: '' });
    });

    it.each(['waggle', ...evil, '/a//b', '/a?b', '/a#b', '/ä', '/%61', '/./a'])(
      '%j is refused',
      async (basePath) => {
        await run();
        await expect(runTransport(plugin, { basePath })).rejects.toThrow('basePath');
      },
    );
  });

  describe(`${name}: trusted proxies`, () => {
    const seen = async (config: Partial<TransportConfig>, headers: Record<string, string>) =>
      (
        await call(await run({ allowedHosts: ['chat.example.com', 'b.example.com'], ...config }), {
          path: '/x',
          headers,
        })
      ).json;

    it.each([
      [{}, '127.0.0.1'],
      [{ 'x-forwarded-for': '203.0.113.5' }, '203.0.113.5'],
      [{ 'x-forwarded-for': '6.6.6.6, 203.0.113.5' }, '203.0.113.5'],
      [{ 'x-forwarded-for': '6.6.6.6, 203.0.113.5, 127.0.0.2' }, '203.0.113.5'],
      [{ 'x-forwarded-for': '127.0.0.3, 127.0.0.2' }, '127.0.0.3'],
      [{ 'x-forwarded-for': '203.0.113.5:4711' }, '203.0.113.5'],
      [{ 'x-forwarded-for': '[2001:DB8::1]:4711' }, '2001:db8::1'],
      [{ 'x-forwarded-for': '2001:db8:0:0::1' }, '2001:db8::1'],
      [{ 'x-forwarded-for': '::ffff:203.0.113.5' }, '203.0.113.5'],
      [{ 'x-forwarded-for': '::ffff:127.0.0.9, ::ffff:127.0.0.2' }, '127.0.0.9'],
      [{ 'x-forwarded-for': 'unknown' }, '127.0.0.1'],
      [{ 'x-forwarded-for': '6.6.6.6, <script>' }, '127.0.0.1'],
      [{ 'x-forwarded-for': '' }, '127.0.0.1'],
      [{ forwarded: 'for=203.0.113.5;proto=https' }, '203.0.113.5'],
      [{ forwarded: 'for=6.6.6.6, For="[2001:db8::1]:80";by=127.0.0.1' }, '2001:db8::1'],
      [{ forwarded: 'for="6.6.6.6, 7.7.7.7"' }, '127.0.0.1'],
      [{ forwarded: 'for=_hidden' }, '127.0.0.1'],
      [{ 'x-forwarded-for': '203.0.113.5', forwarded: 'for=6.6.6.6' }, '203.0.113.5'],
    ])('name the client in %j', async (headers, remoteAddress) => {
      expect(await seen(trusted, headers)).toMatchObject({ remoteAddress });
    });

    it.each([
      [{ 'x-forwarded-host': 'chat.example.com', 'x-forwarded-proto': 'https' }, 'https://chat.example.com'],
      [{ 'x-forwarded-host': 'chat.example.com:8443' }, 'http://chat.example.com:8443'],
      [{ 'x-forwarded-host': 'evil.test, chat.example.com' }, 'http://chat.example.com'],
      [
        {
          'x-forwarded-host': 'evil.test, chat.example.com, b.example.com',
          'x-forwarded-for': '6.6.6.6, 127.0.0.2',
        },
        'http://chat.example.com',
      ],
      [{ host: 'chat.example.com', 'x-forwarded-proto': 'wss' }, 'https://chat.example.com'],
      [{ host: 'chat.example.com', 'x-forwarded-proto': 'javascript' }, 'http://chat.example.com'],
      [{ forwarded: 'host="chat.example.com:8443";proto=HTTPS' }, 'https://chat.example.com:8443'],
      [{ host: 'b.example.com', 'x-forwarded-host': '' }, 'http://b.example.com'],
    ])('name what was called in %j', async (headers, origin) => {
      expect(await seen(trusted, headers)).toMatchObject({ origin });
    });

    it.each([
      ['/waggle', '/waggle'],
      ['/waggle/', '/waggle'],
      ['/outer, /inner', '/inner'],
      ['/', ''],
    ])('say with %s below which path it is', async (prefix, basePath) => {
      expect(await seen({ ...trusted, basePath: '/other' }, { 'x-forwarded-prefix': prefix })).toMatchObject({
        basePath,
      });
      await server.kernel.stop();
      const both = { 'x-forwarded-prefix': '/outer, /inner', 'x-forwarded-for': '6.6.6.6, 127.0.0.2' };
      expect(await seen(trusted, both)).toMatchObject({ basePath: '/outer/inner' });
    });

    it.each(evil)('cannot say %j', async (prefix) => {
      expect(await seen({ ...trusted, basePath: '/other' }, { 'x-forwarded-prefix': prefix })).toMatchObject({
        path: '/x',
        basePath: '/other',
      });
    });

    const told = {
      'x-forwarded-for': '203.0.113.5',
      'x-forwarded-host': 'chat.example.com',
      'x-forwarded-proto': 'https',
      'x-forwarded-prefix': '/waggle',
    };

    it.each([[[]], [['10.0.0.0/8']], [['127.0.0.2', '::1/128']]])(
      'are these alone: %j',
      async (trustedProxies) => {
        expect(await seen({ trustedProxies }, { host: 'localhost', ...told })).toMatchObject({
          remoteAddress: '127.0.0.1',
          origin: 'http://localhost',
          basePath: '',
        });
        await server.kernel.stop();
        expect(await seen({ trustedProxies }, { forwarded: 'for=6.6.6.6' })).toMatchObject({
          remoteAddress: '127.0.0.1',
        });
      },
    );

    it.each([['127.0.0.1'], ['127.0.0.1/32'], ['::ffff:127.0.0.0/104', '127.0.0.0/8']])(
      'may be written as %s',
      async (...trustedProxies) => {
        expect(await seen({ trustedProxies }, told)).toMatchObject({
          remoteAddress: '203.0.113.5',
          basePath: '/waggle',
        });
      },
    );

    it.each(['10.0.0.0/33', '10.0.0/8', 'fd00::/129', 'proxy.local', '*', '', '10.0.0.0/-1', '10.0.0.0/8 '])(
      'are never %j',
      async (network) => {
        await run();
        await expect(runTransport(plugin, { trustedProxies: [network] })).rejects.toThrow('trustedProxies');
      },
    );

    it('name the host that counts: for names that are ours, and for pages', async () => {
      const port = await run({ ...trusted, allowedHosts: ['chat.example.com'] });
      const page = { origin: 'https://chat.example.com', 'content-type': 'application/json' };
      const send = (headers: Record<string, string>) =>
        call(port, { method: 'POST', path: '/x', headers: { ...page, ...headers }, body: '{}' });
      expect((await send({ host: 'waggle', ...told })).status).toBe(200);
      expect((await send({ host: 'localhost', ...told, 'x-forwarded-host': 'evil.test' })).status).toBe(421);
      // As nginx does it where nobody tells it otherwise.
      for (const [host, status] of [
        ['waggle', 421],
        ['127.0.0.1:9797', 403],
      ] as const) {
        const { json, ...answer } = await send({ host });
        expect(answer.status).toBe(status);
        expect(json.error.message).toContain('a proxy in front');
        expect(json.error.message).toContain('"Host"');
      }
    });

    it('stand for their clients in what is told of WebSockets', async () => {
      const port = await run({ ...trusted, allowedHosts: ['chat.example.com'] });
      const client = await Client.open(port, '/waggle/ws/me', { headers: { host: 'waggle', ...told } });
      client.send('');
      expect(JSON.parse((await client.take(1))[0] as string).remoteAddress).toBe('203.0.113.5');
      expect(server.told[0]).toMatchObject({ event: { remoteAddress: '203.0.113.5' } });
      client.ws.terminate();
    });

    it('may have more connections than one client', async () => {
      const limits = { maxHttpConnections: 3, maxHttpConnectionsPerAddress: 1 };
      for (const [config, status] of [
        [trusted, '200'],
        [{}, '503'],
      ] as const) {
        const port = await run({ ...limits, ...config });
        const clients = [await RawClient.connect(port), await RawClient.connect(port)];
        for (const client of clients) await client.send(httpRequest({ path: '/x' })).catch(() => {});
        expect(await clients[1]?.waitForText('\r\n\r\n')).toContain(`HTTP/1.1 ${status}`);
        for (const client of clients) await client.close();
        await server.kernel.stop();
      }
    });
  });

  describe(`${name}: sub-protocols`, () => {
    it.each([
      ['waggle.v1', 'waggle.v1'],
      ['token-hush, waggle.v1', 'waggle.v1'],
      ['waggle.v1,chat', 'waggle.v1'],
      ['a,waggle.v1 , b', 'waggle.v1'],
    ])('of %j one is chosen', async (offered, chosen) => {
      const port = await run();
      const raw = await upgraded(port, '/ws/me', offered);
      expect(raw).toMatch(/^HTTP\/1\.1 101 /);
      expect([...raw.matchAll(/^sec-websocket-protocol: (.*)\r$/gim)].map(([, value]) => value)).toEqual([
        chosen,
      ]);
    });

    it.each([
      ['/ws/me', 'chat'],
      ['/ws/me', 'WAGGLE.V1'],
      ['/ws/me', 'waggle.v2, token-hush'],
      ['/ws/me', 'waggle.v11'],
      ['/ws/me', undefined],
      ['/plain', 'waggle.v1'],
      ['/plain', 'undefined'],
    ])('at %s none of %j', async (path, offered) => {
      const raw = await upgraded(await run(), path, offered);
      expect(raw).toMatch(/^HTTP\/1\.1 101 /);
      expect(raw).not.toMatch(/sec-websocket-protocol|token-hush/i);
    });
  });
}

async function upgraded(port: number, path: string, offered: string | undefined): Promise<string> {
  const client = await RawClient.connect(port);
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    ...(offered !== undefined && { 'sec-websocket-protocol': offered }),
  };
  await client.send(httpRequest({ path, headers }));
  const text = await client.waitForText('\r\n\r\n');
  await client.close();
  return text;
}
