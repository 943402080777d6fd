import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import { type Plugin, type Route, WaggleError } from '../../../kernel/index.js';
import { httpRequest, RawClient } from '../../support/raw-client.js';
import { call, deferred } from '../../support/transport.js';
import { transportRunner } from './stage.js';

/** Request bodies, and handlers that fail. */
export function bodiesContract(name: string, plugin: Plugin): void {
  const run = transportRunner(plugin);

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
    ])('reads a body of type %s', async (type) => {
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
    ])('refuses a body of %s (case %#)', async (type, body, status, code) => {
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

    it('keeps a body until the handler asks for it', async () => {
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

    it('aborts the request when its client has gone', async () => {
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

    it('rejects the body when its client has gone', async () => {
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
}
