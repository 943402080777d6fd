import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import { type Plugin, type Route, type Socket, WaggleError } from '../../kernel/index.js';
import { leakCheck } from '../support/leaks.js';
import { httpRequest, opcodes, RawClient, RawWebSocket, webSocketFrame } from '../support/raw-client.js';
import {
  Client,
  call,
  deferred,
  type RunningTransport,
  refusedUpgrade,
  runTransport,
} from '../support/transport.js';

const hasIPv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

/** Of every connection the bus has said that it opened, then that it closed, and each of it once. */
function expectPairs({ told }: RunningTransport): void {
  const open = new Set<string>();
  const closed = new Set<string>();
  for (const { name, event } of told) {
    if (name === 'connection:refused') continue;
    const { connection } = event;
    expect([name, open.has(connection), closed.has(connection)]).toEqual(
      name === 'connection:opened' ? [name, false, false] : [name, true, false],
    );
    (name === 'connection:opened' ? open : closed).add(connection);
  }
  expect(closed).toEqual(open);
}

/** What every transport must do, whatever it is made of. */
export function transportContract(name: string, plugin: Plugin): void {
  const running: RunningTransport[] = [];
  const run = async (config?: Partial<TransportConfig>): Promise<RunningTransport> => {
    const server = await runTransport(plugin, config);
    running.push(server);
    return server;
  };
  afterEach(async () => {
    for (const server of running.splice(0)) {
      await server.kernel.stop();
      expectPairs(server);
    }
  });

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
    ])('%s is served by %s, whatever came first; a name with a star comes last', async (path, pattern) => {
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
      ['/p/%zz', 'an escape that is none'],
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

    it('forgets a route that was removed, and takes it again', async () => {
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

    it('sends bytes, and strips what would break the framing', async () => {
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

  describe(`${name}: a name with a star`, () => {
    it('stands for all that is left, slashes included, also where they are encoded', async () => {
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

  describe(`${name}: errors in other words`, () => {
    it('are those of one part of the server, whoever finds them', async () => {
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
      expect(await codeAt('/other')).toBe('NOT_FOUND');
      expect((await call(port, { method: 'OPTIONS', path: '/other/nowhere' })).status).toBe(204);
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
    ])('%s: taken %s', async (id, taken) => {
      const { port, route } = await run();
      route({ method: 'GET', path: '/x', handler: (request, reply) => reply.json(200, request.id) });
      const answer = await call(port, { path: '/x', headers: { 'X-Request-Id': id } });
      expect(answer.headers['x-request-id']).toBe(answer.json);
      expect(answer.json === id).toBe(taken);
    });

    it('are made where none came, and differ', async () => {
      const { port } = await run();
      const ids = [await call(port, { path: '/' }), await call(port, { path: '/' })].map(
        ({ headers }) => headers['x-request-id'],
      );
      expect(ids[0]).toMatch(/^[\w-]{20,}$/);
      expect(ids[0]).not.toBe(ids[1]);
    });
  });

  describe(`${name}: bodies`, () => {
    const echo = async (config?: Partial<TransportConfig>) => {
      const server = await run(config);
      server.route({
        method: 'POST',
        path: '/echo',
        handler: async (request, reply) => reply.json(200, await request.json()),
      });
      return server;
    };
    const json = { 'content-type': 'application/json' };

    it.each([
      'application/json',
      'application/json; charset=utf-8',
      'Application/JSON',
      'application/ld+json',
      'application/x-www-form-urlencoded',
      undefined,
    ])('reads %s', async (type) => {
      const { port } = await echo();
      const headers = type ? { 'content-type': type } : {};
      const answer = await call(port, { method: 'POST', path: '/echo', headers, body: '{"a":"ä😀"}' });
      expect(answer).toMatchObject({ status: 200, json: { a: 'ä😀' } });
    });

    it.each([
      ['text/plain', '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['application/jsonx', '{}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['application/json', '', 400, 'INVALID_JSON'],
      ['application/json', '{"a":', 400, 'INVALID_JSON'],
      ['application/x-www-form-urlencoded', 'a=b', 400, 'INVALID_JSON'],
      ['application/json', Buffer.from([0x22, 0xff, 0x22]), 400, 'INVALID_JSON'],
      ['application/json', '['.repeat(33) + ']'.repeat(33), 400, 'TOO_DEEP'],
      ['application/json', '['.repeat(50_000), 400, 'TOO_DEEP'],
    ])('refuses %s (case %#)', async (type, body, status, code) => {
      const { port } = await echo();
      const headers = { 'content-type': type };
      const answer = await call(port, { method: 'POST', path: '/echo', headers, body });
      expect(answer.status).toBe(status);
      expect(answer.json.error.code).toBe(code);
    });

    it('joins chunks, also where they cut characters', async () => {
      const { port } = await echo();
      const bytes = [...Buffer.from('{"a":"😀ü"}')].map((byte) => Buffer.from([byte]));
      const answer = await call(port, { method: 'POST', path: '/echo', headers: json, body: bytes });
      expect(answer.json).toEqual({ a: '😀ü' });
    });

    it('takes a body of exactly the limit', async () => {
      const { port } = await echo({ bodyLimitBytes: 100 });
      const body = JSON.stringify('x'.repeat(98));
      expect((await call(port, { method: 'POST', path: '/echo', headers: json, body })).status).toBe(200);
      expect((await call(port, { method: 'POST', path: '/echo', headers: json, body: [body] })).status).toBe(
        200,
      );
    });

    it('refuses a declared body over the limit before it comes, and closes', async () => {
      const { port } = await echo({ bodyLimitBytes: 100 });
      const client = await RawClient.connect(port);
      await client.send('POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n');
      const text = (await client.waitForEnd()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 413 /);
      expect(text).toContain('"TOO_LARGE"');
      await client.closed;
    });

    it('refuses a chunked body once it is over the limit, and closes', async () => {
      const { port } = await echo({ bodyLimitBytes: 100 });
      const client = await RawClient.connect(port);
      await client.send('POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
      await client.send(`32\r\n${'x'.repeat(50)}\r\n`);
      await client.send(`33\r\n${'x'.repeat(51)}\r\n`);
      const text = (await client.waitForEnd()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 413 /);
      await client.closed;
    });

    it('refuses two lengths that differ', async () => {
      const { port } = await echo();
      const client = await RawClient.connect(port);
      await client.send(
        'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}',
      );
      expect((await client.waitForText('\r\n\r\n')).startsWith('HTTP/1.1 400')).toBe(true);
      await client.close();
    });

    it.each(['GET', 'DELETE'] as const)('finds no body in a bare %s', async (method) => {
      const { port, route } = await run();
      const handler: Route['handler'] = async (request, reply) => reply.json(200, await request.json());
      route({ method, path: '/x', handler });
      const answer = await call(port, { method, path: '/x' });
      expect(answer.json.error.code).toBe('INVALID_JSON');
    });

    it('reads a body that nobody asked for at once', async () => {
      const { port, route } = await run();
      const go = deferred();
      route({
        method: 'POST',
        path: '/late',
        handler: async (request, reply) => {
          await go.promise;
          reply.json(200, [await request.json(), await request.json()]);
        },
      });
      const answer = call(port, { method: 'POST', path: '/late', body: '[1]' });
      setImmediate(go.resolve);
      expect((await answer).json).toEqual([[1], [1]]);
    });
  });

  describe(`${name}: failures`, () => {
    describe('a frame over the limit, where the handler takes those,', () => {
      const limits = { frameLimitBytes: 1000 };
      const open = async () => {
        const { port, websocket } = await run(limits);
        websocket({
          path: '/ws',
          open: (socket) => ({
            message: (got) => void socket.send(`got ${got.length}`),
            tooLarge: (got, limitBytes) => void socket.send(`${got.length} > ${limitBytes}`),
          }),
        });
        return Client.open(port, '/ws');
      };

      it.each([
        ['at the limit', 'x'.repeat(1000), 'got 1000'],
        ['one byte over it', 'x'.repeat(1001), '1001 > 1000'],
        ['over it in bytes only', 'ü'.repeat(501), '501 > 1000'],
        ['at the hard limit', 'x'.repeat(4000), '4000 > 1000'],
      ])('%s is one frame, and the connection goes on', async (_, frame, answer) => {
        const client = await open();
        client.send(frame);
        client.send('next');
        expect(await client.take(2)).toEqual([answer, 'got 4']);
        client.ws.terminate();
      });

      it.each([
        ['a byte over the hard limit', 'x'.repeat(4001), [1009]],
        ['over it in bytes only', 'ü'.repeat(2001), [1009]],
        ['far beyond it', 'x'.repeat(100_000), [1009, 1006]],
      ])('%s ends the connection', async (_, frame, codes) => {
        const client = await open();
        client.send(frame);
        expect(codes).toContain((await client.closed).code);
        expect(client.messages).toEqual([]);
      });
    });

    it.each([
      [
        'throws',
        () => {
          throw new Error('secret');
        },
      ],
      ['rejects', () => Promise.reject(new Error('secret'))],
      [
        'throws no error',
        () => {
          throw 'secret';
        },
      ],
    ] as const)('answers 500 when a handler %s', async (_, handler) => {
      const { port, route, log } = await run();
      route({ method: 'GET', path: '/x', handler });
      const answer = await call(port, {
        path: '/x?password=hush',
        headers: { 'x-request-id': 'r1', cookie: 'hush' },
      });
      expect(answer.status).toBe(500);
      expect(answer.json.error).toEqual({ code: 'INTERNAL', message: expect.any(String), requestId: 'r1' });
      expect(answer.text).not.toContain('secret');
      expect(log.filter(({ level }) => level === 'error')).toMatchObject([{ requestId: 'r1' }]);
      expect(JSON.stringify(log)).not.toContain('hush');
    });

    it('answers a client error by its code', async () => {
      const { port, route, log } = await run();
      route({
        method: 'GET',
        path: '/x',
        handler: async () => {
          throw new WaggleError('QUEUE_FULL', { limit: 1, what: 'x', retryAfterMs: 1200 });
        },
      });
      const answer = await call(port, { path: '/x' });
      expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
      expect(log.filter(({ level }) => level === 'error')).toEqual([]);
    });

    it('keeps the first answer', async () => {
      const { port, route } = await run();
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) => {
          expect(reply.sent).toBe(false);
          reply.json(200, 1);
          expect(reply.sent).toBe(true);
          reply.json(201, 2);
          throw new Error('after the answer');
        },
      });
      expect(await call(port, { path: '/x' })).toMatchObject({ status: 200, text: '1' });
      expect((await call(port, { path: '/x' })).status).toBe(200);
    });

    it('answers 504 when a handler never answers, and aborts it', async () => {
      const { port, route, log } = await run({ requestTimeoutMs: 50 });
      const aborted = deferred<unknown>();
      route({
        method: 'GET',
        path: '/x',
        handler: (request, reply) => {
          request.signal.addEventListener('abort', () => {
            aborted.resolve(request.signal.reason);
            reply.json(200, 'too late');
          });
        },
      });
      const answer = await call(port, { path: '/x' });
      expect(answer.status).toBe(504);
      expect(answer.json.error.code).toBe('DEADLINE_EXCEEDED');
      expect(await aborted.promise).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(log).toContainEqual(expect.objectContaining({ level: 'warn', timeoutMs: 50 }));
    });

    it('lets a route have a deadline of its own', async () => {
      const { port, route } = await run({ requestTimeoutMs: 50 });
      route({
        method: 'GET',
        path: '/x',
        timeoutMs: 10_000,
        handler: async (_, reply) => {
          await sleep(100);
          reply.json(200, 1);
        },
      });
      expect((await call(port, { path: '/x' })).status).toBe(200);
    });

    it('tells a handler that its client has gone', async () => {
      const { port, route, log } = await run();
      const [begun, gone] = [deferred(), deferred()];
      route({
        method: 'GET',
        path: '/x',
        handler: async (request, reply) => {
          const aborted = once(request.signal, 'abort');
          begun.resolve();
          await aborted;
          reply.json(200, 'nobody reads this');
          gone.resolve();
          throw new Error('nobody waits for this');
        },
      });
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/x' }));
      await begun.promise;
      await client.reset();
      await gone.promise;
      expect((await call(port, { path: '/' })).status).toBe(404);
      expect(log.filter(({ level }) => level === 'error')).toEqual([]);
    });

    it('gives up on a body whose client has gone', async () => {
      const { port, route } = await run();
      const failed = deferred<unknown>();
      const begun = deferred();
      route({
        method: 'POST',
        path: '/x',
        handler: async (request) => {
          begun.resolve();
          await request.json().catch(failed.resolve);
        },
      });
      const client = await RawClient.connect(port);
      await client.send('POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"a"');
      await begun.promise;
      await client.reset();
      expect(await failed.promise).toBeInstanceOf(Error);
    });
  });

  describe(`${name}: streams`, () => {
    it('sends parts as they come', async () => {
      const { port, route } = await run();
      const go = deferred();
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) =>
          reply.stream(
            200,
            { 'content-type': 'text/event-stream' },
            (async function* () {
              yield 'one 😀';
              await go.promise;
              yield '';
              yield 'two';
            })(),
          ),
      });
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/x' }));
      await client.waitForText('one 😀');
      go.resolve();
      const text = await client.waitForText('\r\n0\r\n\r\n');
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(text).toContain('two');
      await client.close();
    });

    it('is an empty answer without parts, and no body for HEAD', async () => {
      const { port, route } = await run();
      let closed = 0;
      const empty = {
        async next() {
          return { done: true, value: undefined } as const;
        },
        async return() {
          closed++;
          return { done: true, value: undefined } as const;
        },
      };
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) => reply.stream(200, { 'x-a': 'b' }, { [Symbol.asyncIterator]: () => empty }),
      });
      for (const method of ['GET', 'HEAD'])
        expect(await call(port, { method, path: '/x' })).toMatchObject({
          status: 200,
          text: '',
          headers: { 'x-a': 'b' },
        });
      expect(closed).toBe(2);
    });

    it('answers an error of the first part properly', async () => {
      const { port, route } = await run();
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) =>
          reply.stream(
            200,
            {},
            // biome-ignore lint/correctness/useYield: it never comes to that
            (async function* () {
              throw new WaggleError('BUSY', { limit: 1, what: 'x' });
            })(),
          ),
      });
      expect((await call(port, { path: '/x' })).status).toBe(409);
    });

    it('leaves the answer to the handler when the first part fails', async () => {
      const { port, route } = await run();
      route({
        method: 'GET',
        path: '/x',
        handler: async (_, reply) => {
          const broken = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('x')) }) };
          await reply.stream(200, {}, broken).catch(() => reply.json(418, 'instead'));
        },
      });
      expect(await call(port, { path: '/x' })).toMatchObject({ status: 418, json: 'instead' });
    });

    it('cuts the connection when it fails later, so that it does not look complete', async () => {
      const { port, route, log } = await run();
      const go = deferred();
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) =>
          reply.stream(
            200,
            {},
            (async function* () {
              yield 'one';
              await go.promise;
              throw new Error('broken');
            })(),
          ),
      });
      const client = await RawClient.connect(port);
      await client.send(httpRequest({ path: '/x' }));
      await client.waitForText('one');
      go.resolve();
      await client.closed;
      expect(client.text).not.toContain('\r\n0\r\n');
      expect(log.filter(({ level }) => level === 'error')).toHaveLength(1);
    });

    it('hits the deadline while it waits for its first part', async () => {
      const { port, route } = await run({ requestTimeoutMs: 50 });
      let closed = false;
      const ended = deferred();
      route({
        method: 'GET',
        path: '/x',
        handler: async (_, reply) => {
          await reply.stream(
            200,
            {},
            {
              [Symbol.asyncIterator]: () => ({
                next: () => new Promise(() => {}),
                return: async () => {
                  closed = true;
                  return { done: true, value: undefined };
                },
              }),
            },
          );
          ended.resolve();
        },
      });
      expect((await call(port, { path: '/x' })).status).toBe(504);
      await ended.promise;
      expect(closed).toBe(true);
    });

    it.each(['reset', 'close', 'halfClose'] as const)(
      'is closed when the client leaves with %s',
      async (way) => {
        const { port, route } = await run();
        const [closed, ended] = [deferred(), deferred()];
        route({
          method: 'GET',
          path: '/x',
          handler: async (request, reply) => {
            await reply.stream(
              200,
              {},
              (async function* () {
                try {
                  yield 'begin';
                  await once(request.signal, 'abort');
                } finally {
                  closed.resolve();
                }
              })(),
            );
            ended.resolve();
          },
        });
        const client = await RawClient.connect({ port, allowHalfOpen: true });
        await client.send(httpRequest({ path: '/x' }));
        await client.waitForText('begin');
        const left = client[way]();
        await closed.promise;
        await ended.promise;
        await left;
      },
    );

    it('loses and doubles nothing when its reader is slow', async () => {
      const { port, route } = await run();
      const wanted = Array.from(
        { length: 600 },
        (_, index) => `<${index}:${'é😀x'.repeat(3000 + (index % 7))}>`,
      );
      let stalls = 0;
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) =>
          reply.stream(
            200,
            {},
            (async function* () {
              for (const part of wanted) {
                const before = performance.now();
                yield part;
                if (performance.now() - before > 20) stalls++;
              }
            })(),
          ),
      });
      const response = await fetch(`http://127.0.0.1:${port}/x`);
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body!) {
        chunks.push(chunk);
        if (chunks.length % 100 === 1) await sleep(30);
      }
      expect(Buffer.concat(chunks).equals(Buffer.from(wanted.join('')))).toBe(true);
      expect(stalls).toBeGreaterThan(0);
    });

    it('takes from a body that says when it has something, and nothing while there is no room', async () => {
      const { port, route } = await run();
      const wanted = Array.from({ length: 3000 }, (_, index) => `<${index}:${'é😀x'.repeat(index % 2000)}>`);
      const [stuck, ended] = [deferred(), deferred()];
      const body = { added: 0, taken: 0, closed: 0, listener: { readable: () => {} } };
      const add = () => {
        const untaken = body.added - body.taken;
        body.added = Math.min(wanted.length, body.added + 10);
        body.listener.readable();
        if (untaken > 100) stuck.resolve();
        if (body.added < wanted.length) setImmediate(add);
      };
      route({
        method: 'GET',
        path: '/x',
        handler: async (_, reply) => {
          add();
          await reply.stream(
            200,
            {},
            {
              take: () =>
                body.taken === wanted.length
                  ? undefined
                  : body.taken < body.added
                    ? wanted[body.taken++]
                    : '',
              onReadable: (listener) => {
                body.listener = listener;
              },
              return: async () => {
                body.closed++;
              },
            },
          );
          ended.resolve();
        },
      });
      const response = await fetch(`http://127.0.0.1:${port}/x`);
      await stuck.promise;
      expect(await response.text()).toBe(wanted.join(''));
      await ended.promise;
      expect(body.closed).toBe(1);
    });

    it('delivers what waits, although the next part is long in coming', async () => {
      const { port, route } = await run();
      const part = '#'.repeat(5000);
      const [full, go] = [deferred(), deferred()];
      let yielded = 0;
      let resumed = false;
      route({
        method: 'GET',
        path: '/x',
        handler: (_, reply) =>
          reply.stream(
            200,
            {},
            (async function* () {
              while (!resumed) {
                const stuck = setTimeout(full.resolve, 100);
                yielded++;
                yield part;
                clearTimeout(stuck);
              }
              await go.promise;
            })(),
          ),
      });
      const client = await RawClient.connect(port);
      client.pause();
      await client.send(httpRequest({ path: '/x' }));
      await full.promise;
      resumed = true;
      client.resume();
      // All of it, also what found no room, and although nothing more is written.
      let [chunks, bytes] = [0, 0];
      await client.waitFor(() => {
        for (const chunk of client.chunks.slice(chunks)) {
          chunks++;
          bytes += chunk.toString('latin1').split('#').length - 1;
        }
        return bytes === yielded * part.length ? true : undefined;
      });
      go.resolve();
      await client.close();
    });

    it('cuts a reader that stalls, in bounded memory', async () => {
      const { port, route, log } = await run({ stallTimeoutMs: 200 });
      let yielded = 0;
      const ended = deferred();
      const part = 'x'.repeat(64 * 1024);
      route({
        method: 'GET',
        path: '/x',
        handler: async (_, reply) => {
          await reply.stream(
            200,
            {},
            (async function* () {
              for (;;) {
                yielded++;
                yield part;
              }
            })(),
          );
          ended.resolve();
        },
      });
      const client = await RawClient.connect(port);
      client.pause();
      await client.send(httpRequest({ path: '/x' }));
      await ended.promise;
      // What two kernel buffers take, and not much more.
      expect(yielded * part.length).toBeLessThan(16 * 1024 * 1024);
      expect(log).toContainEqual(expect.objectContaining({ stallTimeoutMs: 200 }));
      client.resume();
      await client.closed;
      expect(client.text.endsWith('\r\n0\r\n\r\n')).toBe(false);
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
      '%s with %j: allowed %s, readable %s',
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

    it('lets pages of this machine talk to a server of this machine', async () => {
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

  describe(`${name}: WebSockets`, () => {
    const echo = async (config?: Partial<TransportConfig>) => {
      const server = await run(config);
      const remove = server.websocket({
        path: '/ws/{client_id}',
        open: (socket) => ({ message: (text) => void socket.send(text) }),
      });
      return { ...server, remove };
    };

    it('echoes text, with its parameters', async () => {
      const { port, websocket } = await run();
      websocket({
        path: '/ws/{client_id}',
        open: (socket) => ({
          message: (text) => void socket.send(`${socket.params.client_id} ${socket.remoteAddress} ${text}`),
        }),
      });
      const client = await Client.open(port, '/ws/%C3%A4');
      client.send('häй😀');
      expect(await client.take(1)).toEqual(['ä 127.0.0.1 häй😀']);
      client.ws.close(1000);
      expect(await client.closed).toMatchObject({ code: 1000 });
    });

    it('sends batches in order, however long', async () => {
      const { port, websocket } = await run({ backlogLimitBytes: 64 * 1024 * 1024 });
      const frames = Array.from({ length: 3000 }, (_, index) => `${index} ${'😀'.repeat(index % 100)}`);
      frames[1500] = 'x'.repeat(200_000);
      websocket({
        path: '/ws',
        open: (socket) => ({
          message: () => {
            socket.send(frames);
            socket.send([]);
            socket.send('end');
          },
        }),
      });
      const client = await Client.open(port, '/ws');
      client.send('go');
      expect(await client.take(frames.length + 1)).toEqual([...frames, 'end']);
      client.ws.terminate();
    });

    it('chooses no subprotocol and no compression', async () => {
      const { port } = await echo();
      const socket = await RawWebSocket.open(port, {
        path: '/ws/1',
        headers: {
          'Sec-WebSocket-Protocol': 'token-hush, chat',
          'Sec-WebSocket-Extensions': 'permessage-deflate',
        },
      });
      expect(socket.head.headers).not.toHaveProperty('sec-websocket-protocol');
      expect(socket.head.headers).not.toHaveProperty('sec-websocket-extensions');
      expect(socket.head.headers['x-request-id']).toMatch(/./);
      await socket.client.close();
    });

    it.each([
      ['a wrong path', '/ws', {}, 404, 'NOT_FOUND'],
      ['an empty parameter', '/ws/', {}, 404, 'NOT_FOUND'],
      ['an encoded slash', '/ws/..%2fx', {}, 404, 'NOT_FOUND'],
      ['NUL', '/ws/%00', {}, 404, 'NOT_FOUND'],
      ['version 8', '/ws/1', { 'Sec-WebSocket-Version': '8' }, 426, 'UPGRADE_REQUIRED'],
      ['no version', '/ws/1', { 'Sec-WebSocket-Version': undefined }, 426, 'UPGRADE_REQUIRED'],
      ['no key', '/ws/1', { 'Sec-WebSocket-Key': undefined }, 400, 'INVALID_REQUEST'],
      ['a short key', '/ws/1', { 'Sec-WebSocket-Key': 'abc' }, 400, 'INVALID_REQUEST'],
      ['a key that is none', '/ws/1', { 'Sec-WebSocket-Key': '!'.repeat(24) }, 400, 'INVALID_REQUEST'],
      ['a plain GET', '/ws/1', { Connection: undefined, Upgrade: undefined }, 426, 'UPGRADE_REQUIRED'],
    ])('refuses %s', async (_, path, headers, status, code) => {
      const { port } = await echo();
      const client = await RawClient.connect(port);
      const usual = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      };
      await client.send(httpRequest({ path, headers: { ...usual, ...headers } }));
      const text = await client.waitForText('}}');
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(text).toContain(`"${code}"`);
      if (status === 426) expect(text.toLowerCase()).toContain('\r\nupgrade: websocket\r\n');
      await client.close();
    });

    it.each([
      [
        'throws',
        () => {
          throw new WaggleError('FORBIDDEN', { why: 'no' });
        },
        403,
      ],
      ['rejects', () => Promise.reject(new WaggleError('FORBIDDEN', { why: 'no' })), 500],
      [
        'breaks',
        () => {
          throw new Error('broken');
        },
        500,
      ],
      ['returns a promise', () => Promise.resolve(), 500],
    ] as const)('refuses an upgrade when accept %s', async (_, accept, status) => {
      const { port, websocket } = await run();
      websocket({ path: '/ws', accept, open: () => ({ message: () => {} }) });
      expect((await refusedUpgrade(port, '/ws')).status).toBe(status);
    });

    it('lets accept look at the request', async () => {
      const { port, websocket } = await run();
      websocket({
        path: '/ws/{id}',
        accept: (request) => {
          expect(request.params).toEqual({ id: '1' });
          expect(request.query.get('a')).toBe('b');
          expect(request.header('X-Who')).toBe('me');
          expect(request.remoteAddress).toBe('127.0.0.1');
        },
        open: (socket) => {
          socket.send('hello');
          return { message: () => {} };
        },
      });
      const client = await Client.open(port, '/ws/1?a=b', { headers: { 'x-who': 'me' } });
      expect(await client.take(1)).toEqual(['hello']);
      client.ws.terminate();
    });

    it('counts what is open at each of its endpoints', async () => {
      const { port, transport, websocket } = await run();
      const closed = deferred();
      websocket({ path: '/a/{id}', open: () => ({ message: () => {}, closed: () => closed.resolve() }) });
      websocket({ path: '/b', open: () => ({ message: () => {} }) });
      const counts = () =>
        Object.fromEntries(transport.endpoints.map((each) => [each.path, transport.openAt(each)]));
      const first = await Client.open(port, '/a/1');
      await Client.open(port, '/a/2');
      await Client.open(port, '/b');
      expect(counts()).toEqual({ '/a/{id}': 2, '/b': 1 });
      first.ws.close();
      await closed.promise;
      expect(counts()).toEqual({ '/a/{id}': 1, '/b': 1 });
    });

    it('has a limit of connections, and a place again when one leaves', async () => {
      const { port, transport, websocket } = await run({ maxConnections: 2 });
      const closed = deferred();
      websocket({
        path: '/ws',
        open: (socket) => ({ message: (text) => void socket.send(text), closed: () => closed.resolve() }),
      });
      const [first, second] = [await Client.open(port, '/ws'), await Client.open(port, '/ws')];
      expect(transport.connections).toEqual({ open: 2, limit: 2 });
      const third = await Client.open(port, '/ws');
      expect(await third.closed).toMatchObject({ code: 1013 });
      second.send('still here');
      expect(await second.take(1)).toEqual(['still here']);
      first.ws.close();
      await closed.promise;
      const fourth = await Client.open(port, '/ws');
      fourth.send('hi');
      expect(await fourth.take(1)).toEqual(['hi']);
    });

    it.each([
      ['a frame over the limit', 'x'.repeat(1001), 1009],
      ['a frame over the limit in bytes', 'ü'.repeat(501), 1009],
      ['a binary frame', new Uint8Array([1]), 1003],
    ])('closes on %s', async (_, frame, code) => {
      const { port } = await echo({ frameLimitBytes: 1000 });
      const client = await Client.open(port, '/ws/1');
      client.send('x'.repeat(1000));
      await client.take(1);
      client.send(frame);
      expect(await client.closed).toMatchObject({ code });
    });

    it.each([
      [
        'throws',
        () => {
          throw new Error('secret');
        },
        'INTERNAL',
      ],
      ['rejects', () => Promise.reject(new Error('secret')), 'INTERNAL'],
      [
        'refuses',
        () => {
          throw new WaggleError('UNKNOWN_TYPE', { type: 'x', known: [] });
        },
        'UNKNOWN_TYPE',
      ],
    ] as const)(
      'says nothing in a protocol that is not its own when a message handler %s, and lives on',
      async (_, fail, code) => {
        const { port, websocket, log } = await run();
        websocket({
          path: '/ws',
          open: (socket) => ({ message: (text) => (text === 'fail' ? fail() : void socket.send(text)) }),
        });
        const client = await Client.open(port, '/ws');
        client.send('fail');
        client.send('next');
        client.send('last');
        expect(await client.take(2)).toEqual(['next', 'last']);
        expect(log.filter(({ level }) => level === 'error')).toHaveLength(code === 'INTERNAL' ? 1 : 0);
        client.ws.terminate();
      },
    );

    it('closes with 1011 when open throws', async () => {
      const { port, websocket, transport, log } = await run();
      websocket({
        path: '/ws',
        open: () => {
          throw new Error('broken');
        },
      });
      const client = await Client.open(port, '/ws');
      expect(await client.closed).toMatchObject({ code: 1011 });
      expect(transport.connections.open).toBe(0);
      expect(log.filter(({ level }) => level === 'error')).toHaveLength(1);
    });

    it.each([
      ['the client says so', (client: Client) => client.ws.close(4321), 4321],
      ['the client says nothing', (client: Client) => client.ws.terminate(), 1006],
    ] as const)('tells the handler once when %s, and does nothing afterwards', async (_, leave, code) => {
      const { port, websocket } = await run();
      const opened = deferred<Socket>();
      const codes: number[] = [];
      const closed = deferred();
      websocket({
        path: '/ws',
        open: (socket) => {
          opened.resolve(socket);
          return {
            message: () => {},
            closed: (closeCode) => {
              codes.push(closeCode);
              socket.send('from the close handler');
              closed.resolve();
              throw new Error('broken');
            },
          };
        },
      });
      const client = await Client.open(port, '/ws');
      const socket = await opened.promise;
      expect(socket.closed).toBe(false);
      leave(client);
      await closed.promise;
      expect(codes).toEqual([code]);
      expect(socket.closed).toBe(true);
      expect(socket.send('late')).toBe(false);
      expect(socket.bufferedBytes).toBe(0);
      expect(await socket.drained()).toBe(false);
      socket.close(1000, 'again');
      await client.closed;
      expect(codes).toEqual([code]);
    });

    it('says on the bus who came, who was one too many, and who left with which code', async () => {
      const { port, websocket, told } = await run({ maxConnections: 1 });
      const opened = deferred<Socket>();
      const closed = deferred();
      const handled: string[] = [];
      websocket({
        path: '/ws/{id}',
        open: (socket) => {
          handled.push(`opened ${told.length}`);
          opened.resolve(socket);
          return {
            message: () => {},
            closed: () => {
              handled.push(`closed ${told.length}`);
              closed.resolve();
            },
          };
        },
      });
      const first = await Client.open(port, '/ws/1');
      const { id: connection } = await opened.promise;
      const second = await Client.open(port, '/ws/2');
      await second.closed;
      first.ws.close(4321);
      await closed.promise;
      const remoteAddress = '127.0.0.1';
      expect(told).toEqual([
        { name: 'connection:opened', event: { connection, path: '/ws/{id}', remoteAddress } },
        { name: 'connection:refused', event: { remoteAddress, code: 1013 } },
        { name: 'connection:closed', event: { connection, code: 4321 } },
      ]);
      // The bus first: what a handler does about it is announced after its reason.
      expect(handled).toEqual(['opened 1', 'closed 3']);
    });

    it.each([
      ['could not be opened', 'throw', 1011],
      ['was closed when it opened', 'close', 4001],
    ])('says on the bus that a connection that %s has closed', async (_, how, code) => {
      const { port, websocket, told } = await run();
      websocket({
        path: '/ws',
        open: (socket) => {
          if (how === 'throw') throw new Error('broken');
          socket.close(4001, 'at once');
          return { message: () => {} };
        },
      });
      await (await Client.open(port, '/ws')).closed;
      expect(told).toMatchObject([
        { name: 'connection:opened' },
        { name: 'connection:closed', event: { code } },
      ]);
    });

    it('closes from inside its own handlers', async () => {
      const { port, websocket } = await run();
      const codes: number[] = [];
      websocket({
        path: '/ws/{when}',
        open: (socket) => {
          if (socket.params.when === 'open') socket.close(4001, 'at once');
          return {
            message: () => {
              socket.send('bye');
              socket.close(4002, 'asked');
            },
            closed: (code) => void codes.push(code),
          };
        },
      });
      expect(await (await Client.open(port, '/ws/open')).closed).toEqual({ code: 4001, reason: 'at once' });
      const client = await Client.open(port, '/ws/message');
      client.send('a');
      client.send('b');
      expect(await client.closed).toEqual({ code: 4002, reason: 'asked' });
      expect(client.messages).toEqual(['bye']);
      expect(codes).toEqual([4001, 4002]);
    });

    it('closes its connections with 1001 when an endpoint is removed', async () => {
      const { port, remove, transport } = await echo();
      const client = await Client.open(port, '/ws/1');
      client.send('x');
      await client.take(1);
      await remove();
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(transport.connections.open).toBe(0);
      expect((await refusedUpgrade(port, '/ws/1')).status).toBe(404);
    });

    const frame = (over: Partial<Parameters<typeof webSocketFrame>[0]>) =>
      webSocketFrame({ opcode: opcodes.text, payload: 'x', ...over });
    it.each([
      ['text that is not UTF-8', frame({ payload: Buffer.from([0xff, 0xfe]) })],
      ['reserved bits', frame({ rsv: 4 })],
      ['a reserved opcode', frame({ opcode: 3 })],
      ['a ping of 126 bytes', frame({ opcode: opcodes.ping, payload: 'x'.repeat(126) })],
      ['a close frame of one byte', frame({ opcode: opcodes.close, payload: 'x' })],
      ['a frame over every limit', frame({ payload: 'x'.repeat(300_000) })],
    ])('closes on %s and serves the others', async (_, bytes) => {
      const { port } = await echo();
      const other = await Client.open(port, '/ws/2');
      const socket = await RawWebSocket.open(port, { path: '/ws/1' });
      await socket.send(bytes);
      await socket.client.waitForEnd();
      await socket.client.close();
      other.send('x');
      expect(await other.take(1)).toEqual(['x']);
      other.ws.terminate();
    });

    it('answers the newest of many pings that come at once, and what comes after them', async () => {
      const { port } = await echo();
      const socket = await RawWebSocket.open(port, { path: '/ws/1' });
      const pings = Array.from({ length: 1000 }, (_, n) => frame({ opcode: opcodes.ping, payload: `${n}` }));
      await socket.send(Buffer.concat([...pings, frame({ payload: 'after' })]));
      await socket.waitForFrame(({ opcode, text }) => opcode === opcodes.pong && text === '999');
      await socket.waitForFrame(({ opcode, text }) => opcode === opcodes.text && text === 'after');
      await socket.client.close();
    });

    it.each(['reset', 'halfClose'] as const)('notices a client that leaves with %s', async (way) => {
      const { port, websocket } = await run();
      const closed = deferred<number>();
      websocket({ path: '/ws', open: () => ({ message: () => {}, closed: closed.resolve }) });
      const socket = await RawWebSocket.open(port, { path: '/ws' });
      const left = socket.client[way]();
      expect(await closed.promise).toBe(1006);
      await left;
    });

    it('survives an unmasked frame', async () => {
      const { port } = await echo();
      const socket = await RawWebSocket.open(port, { path: '/ws/1' });
      await socket.send(frame({ masked: false }));
      await socket.client.close();
      const other = await Client.open(port, '/ws/2');
      other.send('x');
      expect(await other.take(1)).toEqual(['x']);
      other.ws.terminate();
    });
  });

  describe(`${name}: slow WebSocket readers`, () => {
    const paused = async (config: Partial<TransportConfig>) => {
      const server = await run(config);
      const opened = deferred<Socket>();
      const closed = deferred<number>();
      server.websocket({
        path: '/ws',
        open: (socket) => {
          opened.resolve(socket);
          return { message: () => {}, closed: closed.resolve };
        },
      });
      const client = await Client.open(server.port, '/ws');
      client.ws.pause();
      return { ...server, client, closed, socket: await opened.promise };
    };
    const text = 'x'.repeat(10_000);
    /** Sends until it is told to wait, and the operating system has taken all that it takes. */
    const fill = async (socket: Socket): Promise<number> => {
      let count = 0;
      do {
        count++;
        while (socket.send(text)) count++;
      } while (await Promise.race([socket.drained(), sleep(50, false)]));
      return count;
    };

    it('are waited for, and get everything', async () => {
      const { client, socket } = await paused({ highWaterMarkBytes: 100_000 });
      let count = await fill(socket);
      expect(socket.bufferedBytes).toBeGreaterThan(100_000);
      const both = [socket.drained(), socket.drained()];
      client.ws.resume();
      expect(await Promise.all(both)).toEqual([true, true]);
      expect(socket.bufferedBytes).toBeLessThanOrEqual(100_000);
      expect(await socket.drained()).toBe(true);
      expect(socket.send('last')).toBe(true);
      count++;
      const got = await client.take(count);
      expect(got.slice(0, -1).every((each) => each === text)).toBe(true);
      expect(got.at(-1)).toBe('last');
      client.ws.terminate();
    });

    it('are closed with 4429 when they stall', async () => {
      const leaks = leakCheck();
      const { kernel, client, socket, closed, log } = await paused({ stallTimeoutMs: 200 });
      await fill(socket);
      const drained = socket.drained();
      expect(await closed.promise).toBe(4429);
      expect(await drained).toBe(false);
      expect(log).toContainEqual(expect.objectContaining({ why: 'stall' }));
      client.ws.resume();
      expect([4429, 1006]).toContain((await client.closed).code);
      await kernel.stop();
      await leaks.settled();
    });

    it('are closed with 4429 beyond the backlog limit', async () => {
      const { client, socket, closed, log } = await paused({ backlogLimitBytes: 200_000 });
      for (let sent = 0; sent < 100_000_000 && !socket.closed; sent += 2 * text.length)
        socket.send([text, text]);
      expect(socket.closed).toBe(true);
      expect(await closed.promise).toBe(4429);
      expect(log).toContainEqual(expect.objectContaining({ why: 'backlog' }));
      client.ws.resume();
      expect([4429, 1006]).toContain((await client.closed).code);
    });

    const limits = { backlogLimitBytes: 200_000, highWaterMarkBytes: 50_000 };
    // More than the operating system takes of one connection.
    const huge = 'y'.repeat(30_000_000);
    it.each<[string, (socket: Socket) => boolean, number]>([
      ['one frame', (socket) => socket.send(huge), 1],
      ['a list of one', (socket) => socket.send([huge]), 1],
      ['small frames before it', (socket) => socket.send([text, text, huge]), 3],
      ['small frames behind it', (socket) => socket.send([huge, text, text]), 3],
      ['characters of three bytes', (socket) => socket.send('€'.repeat(10_000_000)), 1],
      ['small frames later', (socket) => [socket.send(huge), socket.send(text), socket.send([text])][0]!, 3],
    ])('are not closed for what is over the limit alone: %s', async (_, send, count) => {
      const { client, socket, log } = await paused(limits);
      expect(send(socket)).toBe(false);
      expect(socket.closed).toBe(false);
      expect(socket.bufferedBytes).toBeGreaterThan(200_000);
      const drained = socket.drained();
      client.ws.resume();
      expect(await drained).toBe(true);
      expect((await client.take(count)).map(({ length }) => length).sort()[0]).toBe(
        count === 1 ? client.messages[0]?.length : text.length,
      );
      expect(socket.send('last')).toBe(true);
      expect((await client.take(count + 1)).at(-1)).toBe('last');
      expect(log).not.toContainEqual(expect.objectContaining({ why: 'backlog' }));
      client.ws.terminate();
    });

    it.each<[string, (socket: Socket) => void]>([
      ['two of them', (socket) => [huge, huge].forEach((each) => void socket.send(each))],
      ['two of them together', (socket) => socket.send([huge, huge])],
      [
        'one behind a backlog',
        (socket) => {
          while (socket.bufferedBytes <= 100_000) socket.send(text);
          socket.send(huge);
        },
      ],
      ['more than the limit behind one', (socket) => socket.send([huge, ...Array(21).fill(text)])],
    ])('are closed with 4429 all the same: %s', async (_, send) => {
      const { client, socket, closed, log } = await paused(limits);
      // What the operating system takes of them waits nowhere in the server.
      await fill(socket);
      send(socket);
      expect(await closed.promise).toBe(4429);
      expect(log).toContainEqual(expect.objectContaining({ why: 'backlog' }));
      client.ws.terminate();
    });

    it('are closed with 4429 when they stall within one large frame', async () => {
      const { client, socket, closed, log } = await paused({ ...limits, stallTimeoutMs: 200 });
      socket.send(huge);
      expect(await closed.promise).toBe(4429);
      expect(log).toContainEqual(expect.objectContaining({ why: 'stall' }));
      client.ws.terminate();
    });

    it('are not closed while they read slowly', async () => {
      const { client, socket } = await paused({ stallTimeoutMs: 1000, highWaterMarkBytes: 50_000 });
      let count = await fill(socket);
      for (let turn = 0; turn < 6; turn++) {
        client.ws.resume();
        await socket.drained();
        client.ws.pause();
        await sleep(250);
        count += await fill(socket);
      }
      expect(socket.closed).toBe(false);
      client.ws.resume();
      await client.take(count);
      client.ws.terminate();
    });

    it('are not closed while they read one large frame slowly', async () => {
      const { client, socket } = await paused({ ...limits, stallTimeoutMs: 400 });
      socket.send(huge);
      const wire = (client.ws as unknown as { readonly _socket: Duplex & { readonly bytesRead: number } })
        ._socket;
      for (let turn = 0; turn < 8 && !socket.closed; turn++) {
        const from = wire.bytesRead;
        client.ws.resume();
        while (wire.bytesRead - from < 2_000_000 && !socket.closed) await sleep(1);
        client.ws.pause();
        await sleep(150);
      }
      expect(socket.closed).toBe(false);
      expect(socket.bufferedBytes).toBeGreaterThan(0);
      client.ws.resume();
      expect((await client.take(1))[0]?.length).toBe(huge.length);
      client.ws.terminate();
    });

    it('are told the end of a wait by their close', async () => {
      const { client, socket } = await paused({});
      await fill(socket);
      const drained = socket.drained();
      client.ws.terminate();
      expect(await drained).toBe(false);
    });
  });

  describe(`${name}: start and stop`, () => {
    it('logs where it listens', async () => {
      const { log, port, transport } = await run();
      expect(transport.address).toEqual({ host: '127.0.0.1', port });
      expect(log).toContainEqual(expect.objectContaining({ level: 'info', host: '127.0.0.1', port }));
    });

    it('refuses a port that is taken, and says why', async () => {
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

    it('serves on while it drains, and asks clients to connect anew', async () => {
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

    it('lets an answer that is under way finish', async () => {
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

    it('closes every connection with 1001 after what was sent, and leaves nothing behind', async () => {
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

    it('delivers what waits before it closes', async () => {
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

    it('says on the bus that a connection has closed whose peer reads nothing at the end', async () => {
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

    it('lets its process end by itself', async () => {
      const script = `
        import { createLogger, Kernel, Transport } from './dist/kernel/index.js';
        import plugin from './dist/plugins/${name}/index.js';
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
