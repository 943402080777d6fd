import { expect, it } from 'vitest';
import { definePlugin, Transport } from '../../../kernel/index.js';
import plugin from '../../../plugins/transport-uws/index.js';
import { Client, runTransport } from '../../support/transport.js';

it('frames of an endpoint that was there before the port was opened may be as large as it says', async () => {
  const frameLimitBytes = 8 * 1024 * 1024;
  const wide = definePlugin({
    name: 'wide',
    apiVersion: 1,
    requires: { transport: Transport },
    setup(_, { transport }) {
      for (const [path, limits] of [
        ['/wide', { frameLimitBytes }],
        ['/usual', {}],
      ] as const)
        transport.websocket({
          path,
          ...limits,
          open: (socket) => ({ message: (text) => void socket.send(`${text.length}`) }),
        });
    },
  });
  const server = await runTransport(plugin, {}, [wide]);
  const large = await Client.open(server.port, '/wide');
  large.send('x'.repeat(frameLimitBytes));
  expect(await large.take(1)).toEqual([`${frameLimitBytes}`]);
  const usual = await Client.open(server.port, '/usual');
  usual.send('x'.repeat(frameLimitBytes));
  expect([1006, 1009]).toContain((await usual.closed).code);
  large.ws.terminate();
  await server.kernel.stop();
});
