import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import {
  httpRequest,
  opcodes,
  parseFrames,
  parseResponseHead,
  RawClient,
  RawWebSocket,
  webSocketCloseFrame,
  webSocketFrame,
} from './raw-client.js';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    const closed = once(server, 'close');
    server.close();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

async function connect(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  closers.push(() => client.close());
  return client;
}

async function serveWebSocket(): Promise<{ port: number; server: WebSocketServer }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, server };
}

describe('RawClient', () => {
  it('collects what arrives and waits for text and bytes', async () => {
    const port = await serve((socket) => socket.on('data', (chunk) => socket.write(chunk)));
    const client = await connect(port);
    const text = client.waitForText('🐝 end');
    await client.send('start ');
    await client.send('🐝 end');
    expect(await text).toBe('start 🐝 end');
    expect((await client.waitForBytes(14)).toString()).toBe('start 🐝 end');
    expect(client.byteCount).toBe(14);
  });

  it('dribbles one byte at a time', async () => {
    const pieces: Buffer[] = [];
    const port = await serve((socket) =>
      socket.on('data', (chunk) => {
        pieces.push(chunk);
        if (Buffer.concat(pieces).toString() === 'dribble') socket.end('ok');
      }),
    );
    const client = await connect(port);
    await client.dribble('dribble');
    expect((await client.waitForEnd()).toString()).toBe('ok');
    expect(pieces.length).toBeGreaterThan(1);
  });

  it('half-closes and still reads', async () => {
    const port = await serve((socket) => {
      socket.resume();
      socket.on('end', () => socket.end('after your FIN'));
    });
    const client = await connect(port);
    await client.halfClose();
    expect((await client.waitForEnd()).toString()).toBe('after your FIN');
    expect(await client.closed).toEqual({ ended: true, errorCode: undefined });
  });

  it('sends RST', async () => {
    const seen = new EventEmitter();
    const port = await serve((socket) => {
      socket.resume();
      socket.on('error', (error: NodeJS.ErrnoException) => seen.emit('code', error.code));
    });
    const code = once(seen, 'code');
    const client = await connect(port);
    await client.reset();
    expect(await code).toEqual(['ECONNRESET']);
  });

  it('reports the RST of the peer', async () => {
    const port = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const client = await connect(port);
    await client.send('x');
    expect(await client.closed).toEqual({ ended: false, errorCode: 'ECONNRESET' });
    await expect(client.waitForText('never')).rejects.toThrow('closed (ECONNRESET) after 0 bytes');
  });

  it('makes the peer feel back-pressure while it is paused', async () => {
    const size = 32 * 1024 * 1024;
    const seen = new EventEmitter();
    const port = await serve((socket) =>
      socket.once('data', () => {
        socket.once('drain', () => seen.emit('drain'));
        seen.emit('written', socket.write(Buffer.alloc(size)));
      }),
    );
    const written = once(seen, 'written');
    const drained = once(seen, 'drain');
    const client = await connect(port);
    client.pause();
    await client.send('go');
    expect(await written).toEqual([false]);
    expect(client.byteCount).toBe(0);
    client.resume();
    await drained;
    expect((await client.waitForBytes(size)).length).toBe(size);
  });

  it('gives up after the bound and says what came', async () => {
    const port = await serve((socket) => socket.write('something'));
    const client = await connect(port);
    await client.waitForText('something');
    await expect(client.waitForText('else', 20)).rejects.toThrow(
      'not within 20 ms: got 9 bytes: "something"',
    );
  });
});

describe('httpRequest', () => {
  it('sets Host and Content-Length unless they are given', () => {
    expect(httpRequest({ path: '/api', body: { a: 'ü' } }).toString()).toBe(
      'POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{"a":"ü"}',
    );
    expect(
      httpRequest({
        method: 'PUT',
        headers: { host: undefined, 'content-length': '99', X: ['1', '2'] },
        body: 'b',
      }).toString(),
    ).toBe('PUT / HTTP/1.1\r\ncontent-length: 99\r\nX: 1\r\nX: 2\r\n\r\nb');
  });

  it('has a reader for the head of the answer', () => {
    const bytes = Buffer.from('HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nA: 1\r\na: 2\r\n\r\nbody');
    const head = parseResponseHead(bytes);
    expect(head).toEqual({
      status: 429,
      headers: { 'retry-after': '3', a: '1, 2' },
      bodyStart: bytes.length - 4,
    });
    expect(parseResponseHead(bytes.subarray(0, 20))).toBeUndefined();
  });
});

describe('RawWebSocket', () => {
  it('shakes hands, sends masked frames and reads the answers', async () => {
    const { port, server } = await serveWebSocket();
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
    const socket = await RawWebSocket.open(port);
    closers.push(() => socket.client.close());
    await socket.sendText('Grüße 🐝');
    await socket.send({ opcode: opcodes.text, payload: 'first ', fin: false });
    await socket.send({ opcode: opcodes.continuation, payload: 'second' });
    await socket.send({ opcode: opcodes.ping, payload: 'p' });
    expect(await socket.nextFrame()).toMatchObject({ opcode: opcodes.text, text: 'Grüße 🐝', masked: false });
    expect(await socket.nextFrame()).toMatchObject({ text: 'first second', fin: true, rsv: 0 });
    expect(await socket.waitForFrame((frame) => frame.opcode === opcodes.pong)).toMatchObject({ text: 'p' });
    await socket.send(webSocketCloseFrame(1000, 'bye'));
    expect(await socket.waitForFrame((frame) => frame.opcode === opcodes.close)).toMatchObject({
      closeCode: 1000,
    });
  });

  it.each([
    ['an unmasked frame', { opcode: opcodes.text, payload: 'x', masked: false }, 1002],
    ['reserved bits', { opcode: opcodes.text, payload: 'x', rsv: 2 }, 1002],
    ['an unknown opcode', { opcode: 3, payload: 'x' }, 1002],
    ['a huge declared length', { opcode: opcodes.text, declaredLength: 2 ** 40 }, 1009],
    ['invalid UTF-8', { opcode: opcodes.text, payload: Buffer.of(0xff) }, 1007],
  ])('lets a server see %s', async (_name, frame, closeCode) => {
    const { port, server } = await serveWebSocket();
    server.on('connection', (socket) => socket.on('error', () => {}));
    const socket = await RawWebSocket.open(port);
    closers.push(() => socket.client.close());
    await socket.send(frame);
    expect(await socket.nextFrame()).toMatchObject({ opcode: opcodes.close, closeCode });
  });

  it('rejects when the server does not switch protocols', async () => {
    const port = await serve((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')),
    );
    await expect(RawWebSocket.open(port)).rejects.toThrow('no WebSocket: status 403');
  });

  it.each([0, 125, 126, 65_535, 65_536])('reads back a frame of %i bytes', (size) => {
    const payload = Buffer.alloc(size, 'z');
    const bytes = webSocketFrame({ opcode: opcodes.binary, payload });
    const { frames, rest } = parseFrames(Buffer.concat([bytes, Buffer.of(0x81)]));
    expect(frames).toHaveLength(1);
    expect(frames[0]).toMatchObject({ opcode: opcodes.binary, masked: true });
    expect(frames[0]?.payload.equals(payload)).toBe(true);
    expect(rest).toEqual(Buffer.of(0x81));
    expect(parseFrames(bytes.subarray(0, -1)).frames).toHaveLength(0);
  });
});
