import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Plugin } from '../../kernel/index.js';
import { opcodes, RawClient, RawWebSocket, webSocketFrame } from '../support/raw-client.js';
import { type RunningTransport, runTransport } from '../support/transport.js';

const post = (length: string) => `POST /echo HTTP/1.1\r\nHost: localhost\r\n${length}\r\n\r\n`;
const host = { Host: 'localhost' };

/** Who takes too long, or never comes to an end, is not waited for. */
export function slowPeersContract(name: string, plugin: Plugin): void {
  let server: RunningTransport;
  beforeAll(async () => {
    server = await runTransport(plugin, { frameLimitBytes: 1000 });
    server.route({
      method: 'POST',
      path: '/echo',
      handler: async (request, reply) => reply.json(200, String(await request.json()).length),
    });
    server.websocket({ path: '/ws', open: () => ({ message: () => {} }) });
  });
  afterAll(() => server.kernel.stop());

  // Together, because each of them is a wait.
  it.concurrent(`${name}: a body that drips is given up, one that flows is taken`, async ({ expect }) => {
    const steady = Array.from({ length: 30 }, () => 'x'.repeat(16 * 1024));
    const whole = JSON.stringify(steady.join(''));
    const flowing = async (): Promise<void> => {
      const client = await RawClient.connect(server.port);
      await client.send(post(`Content-Length: ${whole.length}`));
      for (let at = 0; at < whole.length; at += 16 * 1024) {
        await client.send(whole.slice(at, at + 16 * 1024));
        await sleep(450);
      }
      expect(await client.waitForText(String(whole.length - 2))).toMatch(/^HTTP\/1\.1 200 /);
      await client.close();
    };
    // As many bytes as would take minutes.
    const dripping = async (length: string, part: string): Promise<void> => {
      const client = await RawClient.connect(server.port);
      await client.send(post(length));
      let isOpen = true;
      void client.closed.then(() => {
        isOpen = false;
      });
      while (isOpen) {
        await client.send(part).catch(() => {});
        await Promise.race([client.closed, sleep(500)]);
      }
      expect(client.text).toBe('');
    };
    const drips = [
      dripping('Content-Length: 100000', ' '),
      dripping('Content-Length: 100000', ''),
      dripping('Content-Length: 100000', ' '.repeat(1000)),
      dripping('Transfer-Encoding: chunked', '1\r\n \r\n'),
    ];
    await Promise.all([flowing(), ...drips]);
  }, 40_000);

  describe.concurrent(`${name}: after a frame that is too large`, () => {
    const tooLarge = [
      ['beyond our limit', webSocketFrame({ opcode: opcodes.text, payload: 'x'.repeat(1500) })],
      ['beyond every limit', webSocketFrame({ opcode: opcodes.text, payload: 'x'.repeat(1_000_000) })],
      ['that is binary', webSocketFrame({ opcode: opcodes.binary, payload: 'x' })],
      [
        'of a length that only says so',
        webSocketFrame({ opcode: opcodes.text, payload: 'x', declaredLength: 2 ** 31, lengthBytes: 8 }),
      ],
    ] as const;

    const open = () =>
      RawWebSocket.open({ port: server.port, allowHalfOpen: true }, { path: '/ws', headers: host });

    it.each(tooLarge)('%s, a peer that stays mute is gone soon', async (_, frame) => {
      const socket = await open();
      await socket.send(frame).catch(() => {});
      await socket.client.waitForEnd(8000);
      await socket.client.close();
    });

    const more = webSocketFrame({ opcode: opcodes.text, payload: 'y'.repeat(900) });
    it.each(
      tooLarge.flatMap(
        ([what, frame]) =>
          [
            [what, 'goes on sending', frame, 10],
            [what, 'floods', frame, 0],
          ] as const,
      ),
    )(
      '%s, a peer that %s is not read without end',
      async (_, how, frame, gapMs) => {
        const { client } = await open();
        let isOpen = true;
        void client.closed.then(() => {
          isOpen = false;
        });
        await client.send(frame).catch(() => {});
        const bytes = how === 'floods' ? Buffer.concat(Array(70).fill(more)) : more;
        while (isOpen) {
          await client.send(bytes).catch(() => client.closed);
          await sleep(gapMs);
        }
      },
      40_000,
    );
  });
}
