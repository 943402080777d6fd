import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import type { Plugin, Route } from '../../../kernel/index.js';
import { eventually } from '../../support/eventually.js';
import { RawClient } from '../../support/raw-client.js';
import { call, deferred } from '../../support/transport.js';
import { transportRunner } from './stage.js';

const json = { 'content-type': 'application/json' };
const size = (bytes: number) => JSON.stringify('x'.repeat(bytes - 2));
const head = (path: string, length: number | 'chunked', more = '') =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${more}${
    length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  }\r\n\r\n`;

/** Limits of bodies by route, and the room for all bodies together. */
export function roomContract(name: string, plugin: Plugin): void {
  const run = transportRunner(plugin);
  const lengthOf: Route['handler'] = async (request, reply) =>
    reply.json(200, { length: String(await request.json()).length });
  const start = async (config: Partial<TransportConfig>, routes: readonly Partial<Route>[]) => {
    const server = await run(config);
    for (const route of routes) server.route({ method: 'POST', path: '/x', handler: lengthOf, ...route });
    return server.port;
  };
  const post = (port: number, path: string, body: string | Buffer | readonly string[], headers = {}) =>
    call(port, { method: 'POST', path, headers: { ...json, ...headers }, body: body as never });

  describe(`${name}: the limit of a body`, () => {
    const config = { bodyLimitBytes: 1000, bodiesLimitBytes: 8000 };
    const routes = [
      { path: '/usual' },
      { path: '/own', bodyLimitBytes: 5000, limitedBy: 'endpoint-x' },
      { path: '/small', bodyLimitBytes: 100, limitedBy: 'endpoint-y' },
      { path: '/any', bodyLimitBytes: 1_000_000, limitedBy: 'endpoint-z' },
    ];

    it.each([
      ['/usual', 1000, 'the limit "bodyLimitBytes" of the transport'],
      ['/own', 5000, 'the limit "bodyLimitBytes" of endpoint-x'],
      ['/small', 100, 'the limit "bodyLimitBytes" of endpoint-y'],
      ['/any', 8000, 'the limit "bodiesLimitBytes" of the transport'],
    ])('at %s is %i bytes, and a refusal says whose it is', async (path, limitBytes, whose) => {
      const port = await start(config, routes);
      const [fits, above] = [size(limitBytes), size(limitBytes + 1)];
      for (const body of [fits, [fits]])
        expect((await post(port, path, body)).json).toEqual({ length: limitBytes - 2 });
      const gzip = { 'content-encoding': 'gzip' };
      // Both the compressed body and what it becomes take room.
      if (path !== '/any')
        expect((await post(port, path, gzipSync(fits), gzip)).json).toEqual({ length: limitBytes - 2 });
      for (const [body, headers] of [[above], [[above]], [gzipSync(above), gzip]] as const) {
        const answer = await post(port, path, body, headers);
        expect([answer.status, answer.json.error.code]).toEqual([413, 'TOO_LARGE']);
        expect(answer.json.error.message).toBe(`more than ${limitBytes} bytes, ${whose}`);
      }
    });

    it.each([0, -1, 1.5, Number.NaN])('may not be %d', async (bodyLimitBytes) => {
      await expect(start({}, [{ bodyLimitBytes }])).rejects.toMatchObject({ code: 'ROUTE_INVALID' });
    });
  });

  describe(`${name}: the room for bodies`, () => {
    const config = { bodiesLimitBytes: 100_000, bodyLimitBytes: 80_000 };
    const full = { status: 429, headers: { 'retry-after': expect.stringMatching(/^\d+$/) } };

    it('is taken by a declared length, at once, and free again when its client has gone', async () => {
      const port = await start(config, [{}]);
      const slow = await RawClient.connect(port);
      await slow.send(`${head('/x', 60_000)}"`);
      await eventually(async () => expect(await post(port, '/x', size(50_000))).toMatchObject(full));
      const refused = await post(port, '/x', size(50_000));
      expect(refused.json.error).toMatchObject({ code: 'BODIES_FULL' });
      expect(refused.json.error.message).toContain('"bodiesLimitBytes" of the transport');
      expect((await post(port, '/x', size(30_000))).status).toBe(200);
      await slow.reset();
      await eventually(async () => expect((await post(port, '/x', size(80_000))).status).toBe(200));
    });

    it('is taken by chunks as they come', async () => {
      const port = await start(config, [{}]);
      const slow = await RawClient.connect(port);
      await slow.send(`${head('/x', 'chunked')}${(50_000).toString(16)}\r\n${'x'.repeat(50_000)}\r\n`);
      await eventually(async () => expect(await post(port, '/x', size(60_000))).toMatchObject(full));
      // In pieces, it is refused in the middle.
      expect(await post(port, '/x', [size(30_000), ' '.repeat(30_000)])).toMatchObject(full);
      await slow.reset();
      await eventually(async () => expect((await post(port, '/x', size(80_000))).status).toBe(200));
    });

    it('is taken by what a compressed body becomes', async () => {
      const port = await start(config, [{}]);
      const slow = await RawClient.connect(port);
      await slow.send(`${head('/x', 60_000)}"`);
      const gzip = { 'content-encoding': 'gzip' };
      await eventually(async () =>
        expect(await post(port, '/x', gzipSync(size(50_000)), gzip)).toMatchObject(full),
      );
      expect((await post(port, '/x', gzipSync(size(30_000)), gzip)).status).toBe(200);
      await slow.reset();
    });

    it('is held until the handler has parsed the body, and no longer', async () => {
      const [parse, parsed, answer] = [deferred(), deferred(), deferred()];
      const handler: Route['handler'] = async (request, reply) => {
        await parse.promise;
        await request.json();
        parsed.resolve();
        await answer.promise;
        reply.json(200, 'done');
      };
      const port = await start(config, [{}, { path: '/late', handler }]);
      const late = post(port, '/late', size(60_000));
      await eventually(async () => expect(await post(port, '/x', size(60_000))).toMatchObject(full));
      parse.resolve();
      await parsed.promise;
      expect((await post(port, '/x', size(60_000))).status).toBe(200);
      answer.resolve();
      expect((await late).status).toBe(200);
    });

    it.each<[string, Route['handler']]>([
      ['a handler that never reads it', (_, reply) => reply.json(200, 'unread')],
      ['a handler that throws', () => Promise.reject(new Error('no'))],
      ['a body that is no JSON', async (request, reply) => reply.json(200, await request.json(1))],
      ['a response that goes on', (_, reply) => reply.stream(200, {}, parts())],
    ])('is free again after %s', async (_, handler) => {
      const port = await start(config, [{}, { path: '/odd', handler }]);
      for (let round = 0; round < 4; round++) await post(port, '/odd', `[[${size(60_000)}]]`);
      expect((await post(port, '/x', size(80_000))).status).toBe(200);
    });

    it('is free again when a client has gone before its body was read', async () => {
      const over = deferred();
      const unread: Route['handler'] = async () => over.promise;
      const port = await start(config, [{}, { path: '/unread', handler: unread }]);
      const client = await RawClient.connect(port);
      await client.send(`${head('/unread', 60_000)}${size(60_000)}`);
      await eventually(async () => expect(await post(port, '/x', size(60_000))).toMatchObject(full));
      await client.reset();
      await eventually(async () => expect((await post(port, '/x', size(80_000))).status).toBe(200));
      over.resolve();
    });

    it('of who sends slowly goes to others after a while, the slowest first', async () => {
      const port = await start({ bodiesLimitBytes: 10_000_000, bodyLimitBytes: 8_000_000 }, [{}]);
      const [slow, steady] = [await RawClient.connect(port), await RawClient.connect(port)];
      const length = 4_500_000;
      // More than the least pace of a body, below which it is given up in any case.
      let isOver = false;
      const drip = async (client: RawClient, bytes: number) => {
        await client.send(head('/x', length));
        for (let sent = 0; sent < length - bytes && !isOver; sent += bytes) {
          await client.send('x'.repeat(bytes)).catch(() => {});
          await sleep(250);
        }
      };
      const drips = [drip(slow, 10_000), drip(steady, 20_000)];
      await eventually(async () => expect(await post(port, '/x', size(5_000_000))).toMatchObject(full));
      // As a client does that honours the header.
      let answer = await post(port, '/x', size(5_000_000));
      while (answer.status === 429) {
        await sleep(Number(answer.headers['retry-after']) * 1000);
        answer = await post(port, '/x', size(5_000_000));
      }
      expect(answer.status).toBe(200);
      expect(await slow.waitForText('"BODIES_FULL"')).toMatch(/^HTTP\/1\.1 429 /);
      expect(steady.text).toBe('');
      isOver = true;
      await Promise.all(drips);
      await slow.close();
      await steady.close();
    }, 40_000);
  });

  describe(`${name}: a refused body`, () => {
    const config = { bodiesLimitBytes: 40_000_000, bodyLimitBytes: 1000 };
    const length = 20_000_000;

    it.each([
      ['too large', '/x', 413],
      ['without room', '/large', 429],
    ])(
      'that is %s has its answer, while and after its client sends all of it',
      async (_, path, status) => {
        const port = await start(config, [{}, { path: '/large', bodyLimitBytes: 30_000_000 }]);
        const holder = await RawClient.connect(port);
        await holder.send(`${head('/large', 30_000_000)}"`);
        await eventually(async () => expect((await post(port, '/large', size(15_000_000))).status).toBe(429));
        // As most clients do: it reads nothing until it has sent all.
        const client = await RawClient.connect(port);
        client.pause();
        await client.send(head(path, length));
        const part = 'x'.repeat(1_000_000);
        for (let sent = 0; sent < length; sent += part.length) await client.send(part);
        client.resume();
        const text = (await client.waitForEnd()).toString();
        expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
        expect(text.toLowerCase()).toContain('connection: close');
        expect(JSON.parse(text.slice(text.indexOf('{'))).error.code).toMatch(/^(TOO_LARGE|BODIES_FULL)$/);
        await client.close();
        await holder.reset();
      },
      20_000,
    );

    it.each([
      ['is not asked for', 2000, 413],
      ['that fits is asked for', 1000, 200],
    ])('behind "Expect: 100-continue" %s', async (_, length, status) => {
      const port = await start(config, [{}]);
      const client = await RawClient.connect(port);
      await client.send(head('/x', length, 'Expect: 100-continue\r\nConnection: close\r\n'));
      if (status === 200) {
        await client.waitForText('100 Continue\r\n\r\n');
        await client.send(size(length));
      }
      const text = (await client.waitForEnd()).toString();
      expect(text).toContain(`HTTP/1.1 ${status} `);
      await client.close();
    });
  });
}

async function* parts(): AsyncGenerator<string> {
  yield 'a';
  yield 'b';
}
