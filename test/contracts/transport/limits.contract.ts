import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import type { Plugin, Socket } from '../../../kernel/index.js';
import { leakCheck } from '../../support/leaks.js';
import { Client, deferred } from '../../support/transport.js';
import { transportRunner } from './stage.js';

/** The limits of connections and frames, and slow readers. */
export function limitsContract(name: string, plugin: Plugin): void {
  const run = transportRunner(plugin);

  describe(`${name}: limits`, () => {
    it('closes with 1013 over the limit of connections, until one leaves', async () => {
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
    ])('closes with its code on %s', async (_, frame, code) => {
      const { port, websocket } = await run({ frameLimitBytes: 1000 });
      websocket({ path: '/ws', open: (socket) => ({ message: (text) => void socket.send(text) }) });
      const client = await Client.open(port, '/ws');
      client.send('x'.repeat(1000));
      await client.take(1);
      client.send(frame);
      expect(await client.closed).toMatchObject({ code });
    });
  });

  describe(`${name}: a frame over the limit, where the endpoint takes such frames,`, () => {
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

  describe(`${name}: an endpoint with a limit of its own for frames`, () => {
    const mib = 1024 * 1024;
    const endpoints = [
      { path: '/usual/{id}' },
      { path: '/wide/{id}', frameLimitBytes: 2 * mib, limitedBy: 'endpoint-x' },
      { path: '/wider', frameLimitBytes: 4 * mib, limitedBy: 'endpoint-y' },
      { path: '/narrow', frameLimitBytes: 100 },
    ];
    const open = async (path: string, later = false) => {
      const { port, websocket } = await run({ frameLimitBytes: 1000, bodiesLimitBytes: 64 * mib });
      for (const each of later ? endpoints.toReversed() : endpoints)
        websocket({
          ...each,
          open: (socket) => ({
            message: (got) => void socket.send(`got ${got.length}`),
            tooLarge: (got, bytes, key) => void socket.send(`${got.length} > ${bytes}, ${key}`),
          }),
        });
      return Client.open(port, path);
    };

    it.each([
      ['/usual/1', 1000, '"frameLimitBytes" of the transport'],
      ['/wide/1', 2 * mib, '"frameLimitBytes" of endpoint-x'],
      ['//wide/1/', 2 * mib, '"frameLimitBytes" of endpoint-x'],
      ['/wider', 4 * mib, '"frameLimitBytes" of endpoint-y'],
      ['/narrow', 100, undefined],
    ])('%s takes frames of %i bytes, and says whose limit it is', async (path, bytes, key) => {
      for (const later of [false, true]) {
        const client = await open(path, later);
        client.send('x'.repeat(bytes));
        client.send('x'.repeat(bytes + 1));
        client.send('next');
        expect(await client.take(3)).toEqual([`got ${bytes}`, `${bytes + 1} > ${bytes}, ${key}`, 'got 4']);
        client.ws.terminate();
      }
    });

    it.each([
      ['/usual/1', 4000],
      ['/wide/1', 6 * mib],
      ['/narrow', 400],
    ])('%s ends a connection with frames above %i bytes', async (path, hardBytes) => {
      for (const bytes of [hardBytes + 1, 2 * hardBytes + 1]) {
        const client = await open(path);
        client.send('x'.repeat(hardBytes));
        expect(await client.take(1)).toEqual([expect.stringMatching(`^${hardBytes} > `)]);
        client.send('x'.repeat(bytes));
        expect([1009, 1006]).toContain((await client.closed).code);
      }
    });

    it.each([0, 1.5])('may not have one of %d', async (frameLimitBytes) => {
      const { websocket } = await run();
      const add = () => websocket({ path: '/x', frameLimitBytes, open: () => ({ message: () => {} }) });
      expect(add).toThrow(expect.objectContaining({ code: 'ROUTE_INVALID' }));
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

    it('are waited for, and get every frame', async () => {
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
    ])('are not closed for one frame that alone is over the limit: %s', async (_, send, count) => {
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

    it('are found among all who get what is published, and hold up nobody', async () => {
      const server = await run(limits);
      if (!server.transport.publish) return;
      const closed = deferred<number>();
      server.websocket({
        path: '/ws/{id}',
        open: (socket) => {
          socket.subscribe?.('all');
          return { message: () => {}, closed: (code) => socket.params.id === 'slow' && closed.resolve(code) };
        },
      });
      const [slow, quick] = [
        await Client.open(server.port, '/ws/slow'),
        await Client.open(server.port, '/ws/quick'),
      ];
      slow.ws.pause();
      let count = 0;
      let isClosed = false;
      void closed.promise.then(() => {
        isClosed = true;
      });
      // The quick one has each before the next is sent.
      for (; !isClosed && count < 10_000; count++) {
        server.transport.publish('all', `${count} ${text}`);
        expect((await quick.take(count + 1)).at(-1)).toBe(`${count} ${text}`);
      }
      expect(await closed.promise).toBe(4429);
      slow.ws.terminate();
      quick.ws.terminate();
    });

    it('are closed with 4429 when they stall on what was published', async () => {
      const { client, socket, closed, log, transport } = await paused({ stallTimeoutMs: 200 });
      if (!transport.publish) return void client.ws.terminate();
      socket.subscribe?.('all');
      // What is published leaves at the end of the turn.
      for (; socket.bufferedBytes < 200_000; await nextTurn()) transport.publish('all', text);
      expect(await closed.promise).toBe(4429);
      expect(log).toContainEqual(expect.objectContaining({ why: 'stall' }));
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

    it('end the wait for drained when they close', async () => {
      const { client, socket } = await paused({});
      await fill(socket);
      const drained = socket.drained();
      client.ws.terminate();
      expect(await drained).toBe(false);
    });
  });
}
