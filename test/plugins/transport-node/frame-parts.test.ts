import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import plugin from '../../../plugins/transport-node/index.js';
import { eventually } from '../../support/eventually.js';
import { opcodes, RawWebSocket } from '../../support/raw-client.js';
import { Client, call, type RunningTransport, runTransport } from '../../support/transport.js';

const size = 300_000;
const part = { opcode: opcodes.text, payload: 'x'.repeat(size), fin: false };
const rest = { opcode: opcodes.continuation, payload: 'x' };
const ping = { opcode: opcodes.ping, payload: 'still there' };

describe('frames that are not complete', () => {
  let server: RunningTransport;
  beforeEach(async () => {
    server = await runTransport(plugin, { bodiesLimitBytes: 500_000, bodyLimitBytes: 400_000 });
    server.websocket({
      path: '/ws',
      frameLimitBytes: 400_000,
      open: (socket) => ({ message: (text) => void socket.send(`${text.length}`) }),
    });
    server.route({
      method: 'POST',
      path: '/x',
      handler: async (request, reply) => reply.json(200, String(await request.json()).length),
    });
  });
  afterEach(() => server.kernel.stop());

  const body = JSON.stringify('x'.repeat(size));
  const request = () => call(server.port, { method: 'POST', path: '/x', body });
  const post = async () => (await request()).status;
  const open = () => RawWebSocket.open(server.port, { path: '/ws', headers: { Host: 'localhost' } });

  it('take room until they are, also with pings between their parts', async () => {
    const socket = await open();
    await socket.send(part);
    await eventually(async () => expect(await post()).toBe(429));
    for (let round = 0; round < 3; round++) {
      await socket.send(ping);
      expect((await socket.nextFrame()).opcode).toBe(opcodes.pong);
    }
    expect(await post()).toBe(429);
    await socket.send(rest);
    expect((await socket.nextFrame()).text).toBe(`${size + 1}`);
    expect(await post()).toBe(200);
    await socket.send(part);
    await eventually(async () => expect(await post()).toBe(429));
    await socket.client.reset();
    await eventually(async () => expect(await post()).toBe(200));
  });

  it('close with 1013 where there is no room, and others go on', async () => {
    const [first, other] = [await open(), await Client.open(server.port, '/ws')];
    await first.send(part);
    await eventually(async () => expect(await post()).toBe(429));
    const second = await open();
    await second.send(part).catch(() => {});
    expect((await second.waitForFrame(({ opcode }) => opcode === opcodes.close)).closeCode).toBe(1013);
    other.send('hi');
    expect(await other.take(1)).toEqual(['2']);
    await first.send(rest);
    expect((await first.nextFrame()).text).toBe(`${size + 1}`);
    other.ws.terminate();
    await second.client.reset();
    await first.client.reset();
  });

  it('give way after a while to who has more to say', async () => {
    const socket = await open();
    await socket.send(part);
    await eventually(async () => expect(await post()).toBe(429));
    // It stays mute, and answers no less. Others ask again when they are told to.
    let answer = await request();
    while (answer.status === 429) {
      await sleep(Number(answer.headers['retry-after']) * 1000);
      answer = await request();
    }
    expect(answer.status).toBe(200);
    expect((await socket.waitForFrame(({ opcode }) => opcode === opcodes.close)).closeCode).toBe(1013);
    await socket.client.reset();
  }, 40_000);
});
