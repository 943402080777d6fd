import { afterEach, describe, expect, it } from 'vitest';
import type { Socket } from '../../../kernel/index.js';
import plugin from '../../../plugins/transport-uws/index.js';
import { transportContract } from '../../contracts/transport/index.js';
import { Client, deferred, type RunningTransport, runTransport } from '../../support/transport.js';

const built = new URL('../../../dist/plugins/transport-uws/index.js', import.meta.url).href;
transportContract('transport-uws', plugin, built);

describe('transport-uws: slow WebSocket readers', () => {
  let server: RunningTransport | undefined;
  afterEach(() => server?.kernel.stop());

  it('count as reading with every part that they take', async () => {
    server = await runTransport(plugin, { stallTimeoutMs: 600, backlogLimitBytes: 256 * 1024 * 1024 });
    const opened = deferred<Socket>();
    server.websocket({
      path: '/ws',
      open: (socket) => {
        opened.resolve(socket);
        return { message: () => {} };
      },
    });
    const client = await Client.open(server.port, '/ws');
    const socket = await opened.promise;
    const count = 6000;
    socket.send(Array(count).fill('x'.repeat(10_000)));
    // Longer than three times what a stall may last, and never up to date.
    for (let taken = 400; taken <= 4000; taken += 400) {
      client.ws.resume();
      await client.take(taken);
      client.ws.pause();
      expect(socket.bufferedBytes).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    client.ws.resume();
    expect(await client.take(count)).toHaveLength(count);
    expect(socket.closed).toBe(false);
    client.ws.terminate();
  });
});
