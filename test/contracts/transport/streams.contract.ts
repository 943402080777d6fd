import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Plugin, WaggleError } from '../../../kernel/index.js';
import { httpRequest, RawClient } from '../../support/raw-client.js';
import { call, deferred } from '../../support/transport.js';
import { transportRunner } from './stage.js';

/** Answers in parts. */
export function streamsContract(name: string, plugin: Plugin): void {
  const run = transportRunner(plugin);

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

    it('sends an empty answer for no parts, and no body for HEAD', async () => {
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

    it('answers an error before the first part with its status', async () => {
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

    it('cuts the connection when it fails after the first part, so that the answer looks incomplete', async () => {
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

    it('answers 504 when the first part does not come before the deadline', async () => {
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
      'is closed when the client leaves by %s',
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

    it('takes from a readable body, and nothing while there is no room', async () => {
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

    it('delivers buffered parts while the next part takes long', async () => {
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
}
