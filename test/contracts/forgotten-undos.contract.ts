import { afterEach, describe, expect, it } from 'vitest';
import { definePlugin, type Plugin, Transport } from '#kernel';
import { Client, call, type RunningTransport, runTransport } from '../support/transport.js';

const format = () => ({ status: 418, body: 'teapot' });

const forgets = definePlugin({
  name: 'forgets',
  apiVersion: 1,
  requires: { transport: Transport },
  setup(_ctx, { transport }) {
    transport.route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 'x') });
    transport.websocket({ path: '/ws', open: () => ({ message: () => {} }) });
    transport.errors({ path: '/v0', format });
  },
});

/** A transport takes back all that a plugin registered, and tells the plugin all that it tells others. */
export function forgottenUndosContract(name: string, transport: Plugin): void {
  describe(`${name}: a plugin that keeps no undo`, () => {
    let server: RunningTransport;
    afterEach(() => server.kernel.stop());

    it('leaves no route, no WebSocket and no format of errors behind', async () => {
      server = await runTransport(transport);
      const { kernel, port } = server;
      const status = async (path: string) => (await call(port, { path })).status;
      await kernel.load(forgets);
      expect([await status('/x'), await status('/ws'), await status('/v0/x')]).toEqual([200, 426, 418]);
      expect(kernel.inspect().plugins.at(-1)).toMatchObject({
        effects: ['GET /x', 'WS /ws', 'errors of /v0'],
        registrations: [{ kind: 'route' }, { kind: 'route' }, { kind: 'errors', name: '/v0' }],
      });
      const client = await Client.open(port, '/ws');
      await kernel.unload('forgets');
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect([await status('/x'), await status('/ws'), await status('/v0/x')]).toEqual([404, 404, 404]);
      expect([server.transport.routes, server.transport.endpoints]).toEqual([[], []]);
    });

    it('sees the transport as it is', async () => {
      let seen: Transport | undefined;
      server = await runTransport(transport);
      await server.kernel.load(
        definePlugin({
          name: 'looks',
          apiVersion: 1,
          requires: { transport: Transport },
          setup(_ctx, services) {
            seen = services.transport;
          },
        }),
      );
      await server.kernel.load(forgets);
      const client = await Client.open(server.port, '/ws');
      const real = server.transport;
      expect(seen).not.toBe(real);
      expect(seen?.address).toEqual(real.address);
      expect(seen?.routes).toEqual(real.routes);
      expect(seen?.connections).toEqual({ open: 1, limit: expect.any(Number) });
      expect(seen?.openAt(real.endpoints[0]!)).toBe(1);
      client.ws.terminate();
    });
  });
}
