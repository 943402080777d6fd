import { describe, expect, it } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import { type Plugin, type Socket, WaggleError } from '../../../kernel/index.js';
import { httpRequest, opcodes, RawClient, RawWebSocket, webSocketFrame } from '../../support/raw-client.js';
import { Client, deferred, refusedUpgrade } from '../../support/transport.js';
import { transportRunner } from './stage.js';

/** WebSocket connections from upgrade to close. */
export function websocketsContract(name: string, plugin: Plugin): void {
  const run = transportRunner(plugin);

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

    it('sends what is published in the order of all that is sent, to those that have joined the channel', async () => {
      const { port, websocket, transport } = await run();
      if (!transport.publish) return;
      const publish = (frame: string) => transport.publish?.('news', frame);
      websocket({
        path: '/ws',
        open: (socket) => ({
          message: () => {
            publish('no');
            socket.subscribe?.('news');
            socket.send('1');
            publish('2');
            socket.send(['3', '4']);
            publish('5');
            publish('6');
            socket.unsubscribe?.('news');
            publish('no');
            socket.send('7');
            socket.subscribe?.('news');
            publish('8');
            socket.unsubscribe?.('news');
            socket.close(1000, 'over');
            publish('no');
            socket.subscribe?.('news');
          },
        }),
      });
      const client = await Client.open(port, '/ws');
      client.send('go');
      await client.closed;
      expect(client.messages.join('')).toBe('12345678');
      publish('to nobody');
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
      ['an invalid key', '/ws/1', { 'Sec-WebSocket-Key': '!'.repeat(24) }, 400, 'INVALID_REQUEST'],
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

    it('counts the open connections of each endpoint', async () => {
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
    ] as const)('sends nothing and stays open when a message handler %s', async (_, fail, code) => {
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
    });

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
      ['the client closes', (client: Client) => client.ws.close(4321), 4321],
      ['the client drops the connection', (client: Client) => client.ws.terminate(), 1006],
    ] as const)('calls closed once when %s, and ignores later calls', async (_, leave, code) => {
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

    it('emits an event for each connection opened, refused and closed, with the code', async () => {
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
    ])('emits connection:closed for a connection that %s', async (_, how, code) => {
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

    it('can be closed inside its own handlers', async () => {
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

    it.each(['reset', 'halfClose'] as const)('reports 1006 when the client leaves by %s', async (way) => {
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
}
