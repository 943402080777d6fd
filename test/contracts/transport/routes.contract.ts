import { describe, expect, it } from 'vitest';
import { type Plugin, type Route, WaggleError } from '../../../kernel/index.js';
import { httpRequest, RawClient } from '../../support/raw-client.js';
import { Client, call, refusedUpgrade } from '../../support/transport.js';
import { transportRunner } from './stage.js';

/** Routes, the format of errors, request ids and origins. */
export function routesContract(name: string, plugin: Plugin): void {
  const run = transportRunner(plugin);

  describe(`${name}: routes`, () => {
    it('serves a path, its query and its parameters', async () => {
      const { port, route } = await run();
      route({
        method: 'GET',
        path: '/a/{first}/b/{second}',
        handler: (request, reply) =>
          reply.json(200, { ...request.params, q: request.query.get('q'), from: request.remoteAddress }),
      });
      const answer = await call(port, { path: '/a/%C3%A4%20b/b/2?q=x%26y' });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(answer.json).toEqual({ first: 'ä b', second: '2', q: 'x&y', from: '127.0.0.1' });
    });

    it('prefers fixed segments', async () => {
      const { port, route } = await run();
      for (const path of ['/x/{id}', '/x/me', '/{any}/you', '/x/{id}/{more}', '/x/me/{more}'])
        route({ method: 'GET', path, handler: (_, reply) => reply.json(200, path) });
      const served = async (path: string) => (await call(port, { path })).json;
      expect(await served('/x/me')).toBe('/x/me');
      expect(await served('/x/1')).toBe('/x/{id}');
      expect(await served('/y/you')).toBe('/{any}/you');
      expect(await served('/x/me/1')).toBe('/x/me/{more}');
      expect(await served('/x/1/1')).toBe('/x/{id}/{more}');
    });

    it.each([
      ['/a/b', '/a/b'],
      ['/a/x', '/a/{id}'],
      ['/a/x/edit', '/a/{id}/edit'],
      ['/a/x/other', '/a/{id}/{what}'],
      ['/a/x/~tail', '/a/{id}/~tail'],
      ['/a/x/ü', '/a/{id}/{what}'],
      ['/a/x/y/z', '/a/{path*}'],
      ['/a/sub/x/y', '/a/sub/{path*}'],
      ['/a/sub/x', '/a/{id}/{what}'],
      ['/other/edit', '/{kind}/edit'],
      ['/other/x/y', '/{kind}/{path*}'],
      ['/other', '/{path*}'],
    ])('%s is served by %s, in any order of registration', async (path, pattern) => {
      const patterns = [
        ...['/{path*}', '/{kind}/{path*}', '/a/{path*}', '/a/sub/{path*}', '/{kind}/edit', '/a/{id}'],
        ...['/a/{id}/{what}', '/a/{id}/edit', '/a/{id}/~tail', '/a/b'],
      ];
      for (const order of [patterns, [...patterns].reverse()]) {
        const { port, route, kernel } = await run();
        for (const each of order)
          route({ method: 'GET', path: each, handler: (_, reply) => reply.json(200, each) });
        expect((await call(port, { path: encodeURI(path) })).json).toBe(pattern);
        await kernel.stop();
      }
    });

    it.each([
      ['/p/', 'an empty parameter'],
      ['/p//', 'empty segments'],
      ['/p/a%00b', 'NUL'],
      ['/p/a%2fb', 'an encoded slash'],
      ['/p/..%2F..%2Fetc', 'an encoded way up'],
      ['/p/a%5cb', 'an encoded backslash'],
      ['/p/a%0ab', 'a line break'],
      ['/p/a%7f', 'a control character'],
      ['/p/%', 'half an escape'],
      ['/p/%zz', 'an invalid escape'],
      ['/p/%ff', 'an escape that is not UTF-8'],
      ['/nowhere', 'an unknown path'],
      ['/nowhere/', 'an unknown path with a slash too many'],
    ])('answers 404 to %s (%s)', async (path) => {
      const { port, route } = await run();
      const handler: Route['handler'] = (_, reply) => reply.json(200, 'served');
      route({ method: 'GET', path: '/p/{id}', handler });
      route({ method: 'GET', path: '/fixed', handler });
      const answer = await call(port, { path });
      expect(answer.status).toBe(404);
      expect(answer.json.error).toMatchObject({
        code: 'NOT_FOUND',
        requestId: answer.headers['x-request-id'],
      });
    });

    it('decodes a parameter once', async () => {
      const { port, route } = await run();
      route({
        method: 'GET',
        path: '/p/{id}',
        handler: (request, reply) => reply.json(200, request.params.id),
      });
      expect((await call(port, { path: '/p/%252e%252e' })).json).toBe('%2e%2e');
      expect((await call(port, { path: '/p/__proto__' })).json).toBe('__proto__');
    });

    it('no longer serves a route that was removed, and serves it when it is added again', async () => {
      const { port, route } = await run();
      const serve = () => route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 1) });
      const remove = serve();
      expect((await call(port, { path: '/x' })).status).toBe(200);
      await remove();
      expect((await call(port, { path: '/x' })).status).toBe(404);
      serve();
      expect((await call(port, { path: '/x' })).status).toBe(200);
    });

    it.each([
      ['x', 'ROUTE_INVALID'],
      ['/a//b', 'ROUTE_INVALID'],
      ['/a/{b', 'ROUTE_INVALID'],
      ['/a/x{b}', 'ROUTE_INVALID'],
      ['/a/{b*}/c', 'ROUTE_INVALID'],
      ['/a/{b**}', 'ROUTE_INVALID'],
      ['/{b}/{b}', 'ROUTE_INVALID'],
      ['/taken/{other}', 'ROUTE_CONFLICT'],
      ['/taken/{id}', 'ROUTE_CONFLICT'],
    ])('refuses the route %s', async (path, code) => {
      const { route } = await run();
      route({ method: 'GET', path: '/taken/{id}', handler: () => {} });
      expect(() => route({ method: 'GET', path, handler: () => {} })).toThrow(
        expect.objectContaining({ code }),
      );
    });

    it('answers HEAD as GET without the body', async () => {
      const { port, route } = await run();
      route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 'four') });
      const answer = await call(port, { method: 'HEAD', path: '/x' });
      expect(answer).toMatchObject({ status: 200, text: '' });
      expect(answer.headers['content-length']).toBe('6');
    });

    it('names the allowed methods', async () => {
      const { port, route } = await run();
      for (const method of ['GET', 'POST'] as const) route({ method, path: '/x', handler: () => {} });
      const wrong = await call(port, { method: 'DELETE', path: '/x' });
      expect(wrong).toMatchObject({ status: 405, headers: { allow: 'GET, POST, HEAD, OPTIONS' } });
      expect(wrong.json.error.code).toBe('METHOD_NOT_ALLOWED');
      const options = await call(port, { method: 'OPTIONS', path: '/x' });
      expect(options).toMatchObject({
        status: 204,
        text: '',
        headers: { allow: 'GET, POST, HEAD, OPTIONS' },
      });
      expect((await call(port, { method: 'OPTIONS', path: '/y' })).status).toBe(404);
    });

    it('sends bytes, and drops a Content-Length of the handler', async () => {
      const { port, route } = await run();
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) =>
          reply.send(201, new Uint8Array([104, 105]), {
            'Content-Type': 'text/plain',
            'Content-Length': '9',
          }),
      });
      const answer = await call(port, { path: '/x' });
      expect(answer).toMatchObject({ status: 201, text: 'hi', headers: { 'content-type': 'text/plain' } });
    });

    it.each([
      ['a\r\nset-cookie', 'x'],
      ['x-note', 'a\r\nset-cookie: x'],
      ['x-note', 'ü'],
    ])('answers 500 rather than send the header %j: %j', async (header, value) => {
      const { port, route } = await run();
      route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 1, { [header]: value }) });
      const answer = await call(port, { path: '/x' });
      expect(answer.status).toBe(500);
      expect(answer.headers).not.toHaveProperty('set-cookie');
    });

    it('answers many requests on one connection, also after an error', async () => {
      const { port, route } = await run();
      route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 'ok') });
      const client = await RawClient.connect(port);
      for (let turn = 1; turn <= 20; turn++) {
        await client.send(httpRequest({ path: turn % 2 ? '/x' : '/y' }));
        await client.waitFor(() => (client.text.split('HTTP/1.1 ').length > turn ? true : undefined));
        await client.waitFor(() => (/"ok"$|\}$/.test(client.text) ? true : undefined));
      }
      expect(client.text.match(/HTTP\/1\.1 (\d+)/g)).toHaveLength(20);
      await client.close();
    });
  });

  describe(`${name}: a parameter with a star`, () => {
    it('takes the rest of the path with its slashes, encoded ones too', async () => {
      const { port, route } = await run();
      for (const path of ['/m/{id*}', '/m/{id}', '/m/fixed'])
        route({ method: 'GET', path, handler: ({ params }, reply) => reply.json(200, { path, ...params }) });
      const at = async (path: string) => (await call(port, { path })).json;
      expect(await at('/m/a/b/c')).toEqual({ path: '/m/{id*}', id: 'a/b/c' });
      expect(await at('/m/a%2Fb/c%20d')).toEqual({ path: '/m/{id*}', id: 'a/b/c d' });
      expect(await at('/m/%2e%2e/x')).toEqual({ path: '/m/{id*}', id: '../x' });
      expect(await at('/m/a')).toEqual({ path: '/m/{id}', id: 'a' });
      expect(await at('/m/fixed')).toEqual({ path: '/m/fixed' });
      expect(await at('/m/a//b/')).toEqual({ path: '/m/{id*}', id: 'a/b' });
      for (const path of ['/m', '/m/', '/m//', '/m/a/%00', '/m/a/%5c', '/m/a/%ff'])
        expect(await at(path)).toMatchObject({ error: { code: 'NOT_FOUND' } });
    });
  });

  describe(`${name}: a format of errors`, () => {
    it('applies to every error below its path, those of the transport too', async () => {
      const server = await run({ bodyLimitBytes: 100, requestTimeoutMs: 50 });
      const { port, route, transport } = server;
      const undo = transport.errors({
        path: '/other',
        format: ({ code }, { id }) => ({ status: 418, body: { oh: code, id }, headers: { 'x-own': code } }),
      });
      route({ method: 'GET', path: '/other/late', handler: () => new Promise(() => {}) });
      route({
        method: 'POST',
        path: '/other/throws',
        handler: () => {
          throw new WaggleError('BUSY', { limit: 1, what: 'bees' });
        },
      });
      const codeAt = async (path: string, more: object = {}) => {
        const { status, json, headers } = await call(port, { path, ...more });
        if (json.error) return json.error.code;
        expect([status, headers['x-own'], headers['content-type']]).toEqual([
          418,
          json.oh,
          'application/json; charset=utf-8',
        ]);
        expect(json.id).toBe(headers['x-request-id']);
        return `other ${json.oh}`;
      };
      expect(await codeAt('/other/nowhere')).toBe('other NOT_FOUND');
      expect(await codeAt('/other/late')).toBe('other DEADLINE_EXCEEDED');
      expect(await codeAt('/other/throws')).toBe('other METHOD_NOT_ALLOWED');
      expect(await codeAt('/other/throws', { method: 'POST' })).toBe('other BUSY');
      expect(await codeAt('/other/throws', { method: 'POST', body: 'x'.repeat(200) })).toBe(
        'other TOO_LARGE',
      );
      const evil = { method: 'POST', headers: { origin: 'https://evil.test' } };
      expect(await codeAt('/other/throws', evil)).toBe('other FORBIDDEN');
      expect(await codeAt('/others')).toBe('NOT_FOUND');
      expect(await codeAt('/other')).toBe('other NOT_FOUND');
      expect((await call(port, { method: 'OPTIONS', path: '/other/nowhere' })).status).toBe(204);
      const deeper = (path: string) => ({
        path,
        format: () => ({ status: 418, body: { error: { code: path } } }),
      });
      for (const path of ['/other/a/b', '/other/a', '/']) transport.errors(deeper(path));
      expect(await codeAt('/other/a')).toBe('/other/a');
      expect(await codeAt('/other/a/b/c')).toBe('/other/a/b');
      expect(await codeAt('/other/ab')).toBe('other NOT_FOUND');
      await undo();
      expect(await codeAt('/other/nowhere')).toBe('NOT_FOUND');
    });
  });

  describe(`${name}: request ids`, () => {
    it.each([
      ['a-good_id.1~', true],
      ['x'.repeat(128), true],
      ['x'.repeat(129), false],
      ['with space', false],
      ['a/b', false],
    ])('takes the id %s: %s', async (id, taken) => {
      const { port, route } = await run();
      route({ method: 'GET', path: '/x', handler: (request, reply) => reply.json(200, request.id) });
      const answer = await call(port, { path: '/x', headers: { 'X-Request-Id': id } });
      expect(answer.headers['x-request-id']).toBe(answer.json);
      expect(answer.json === id).toBe(taken);
    });

    it('makes a different id for each request without one', async () => {
      const { port } = await run();
      const ids = [await call(port, { path: '/' }), await call(port, { path: '/' })].map(
        ({ headers }) => headers['x-request-id'],
      );
      expect(ids[0]).toMatch(/^[\w-]{20,}$/);
      expect(ids[0]).not.toBe(ids[1]);
    });
  });

  describe(`${name}: origins`, () => {
    const cases = [
      [undefined, [], true, false],
      ['http://waggle.test', [], true, false],
      ['https://evil.test', [], false, false],
      ['null', [], false, false],
      ['https://chat.test', ['https://chat.test'], true, true],
      ['https://chat.test:8443', ['https://chat.test'], false, false],
      ['https://evil.test', ['*'], true, true],
      ['null', ['*'], true, true],
    ] as const;

    it.each(cases)(
      'origin %s with allowedOrigins %j: allowed %s, readable %s',
      async (origin, allowedOrigins, allowed, readable) => {
        const { port, route, websocket } = await run({
          allowedHosts: ['waggle.test'],
          allowedOrigins: [...allowedOrigins],
        });
        for (const method of ['GET', 'POST'] as const)
          route({ method, path: '/x', handler: (_, reply) => reply.json(200, 1) });
        websocket({ path: '/ws', open: () => ({ message: () => {} }) });
        const headers = { host: 'waggle.test', ...(origin ? { origin } : {}) };

        const read = await call(port, { path: '/x', headers });
        expect(read.status).toBe(200);
        expect(read.headers['access-control-allow-origin']).toBe(readable ? origin : undefined);
        expect(read.headers).not.toHaveProperty('access-control-allow-credentials');
        if (readable)
          expect(read.headers).toMatchObject({
            vary: 'Origin',
            'access-control-expose-headers': 'x-request-id, x-waggle-agent, retry-after',
          });

        const write = await call(port, { method: 'POST', path: '/x', headers });
        expect(write.status).toBe(allowed ? 200 : 403);
        if (!allowed)
          expect(write.json.error).toMatchObject({
            code: 'FORBIDDEN',
            message: expect.stringContaining('allowedOrigins'),
          });

        const asked = {
          ...headers,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type',
        };
        const preflight = await call(port, { method: 'OPTIONS', path: '/x', headers: asked });
        expect(preflight.status).toBe(204);
        expect(preflight.headers['access-control-allow-methods']).toBe(
          readable ? 'GET, POST, HEAD, OPTIONS' : undefined,
        );
        expect(preflight.headers['access-control-allow-headers']).toBe(readable ? 'content-type' : undefined);

        if (allowed) {
          const client = await Client.open(port, '/ws', { headers });
          client.ws.terminate();
        } else
          expect(await refusedUpgrade(port, '/ws', { headers })).toEqual({ status: 403, code: 'FORBIDDEN' });
      },
    );

    it('allows pages of localhost at a server of localhost', async () => {
      const { port, route } = await run();
      route({ method: 'POST', path: '/x', handler: (_, reply) => reply.json(200, 1) });
      for (const origin of ['http://localhost:5173', 'http://127.0.0.1:1', 'http://[::1]:2']) {
        const answer = await call(port, { method: 'POST', path: '/x', headers: { origin } });
        expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': origin } });
      }
      const answer = await call(port, {
        method: 'POST',
        path: '/x',
        headers: { origin: 'http://localhost.evil.test' },
      });
      expect(answer.status).toBe(403);
    });
  });
}
