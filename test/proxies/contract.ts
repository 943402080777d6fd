import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import node from '../../plugins/transport-node/index.js';
import uws from '../../plugins/transport-uws/index.js';
import { addRoutes, json, kept, sendBy } from '../support/requests.js';
import { type RunningTransport, runTransport } from '../support/transport.js';
import { type RunningProxy, type recipes, startProxy } from './proxy.js';

/** Each answer goes through a proxy that keeps its connections, and the next request does, too. */
export function behindProxy(name: keyof typeof recipes): void {
  describe.each([
    ['transport-uws', uws],
    ['transport-node', node],
  ] as const)(`${name} in front of %s`, (_, plugin) => {
    let server: RunningTransport;
    let proxy: RunningProxy;
    beforeAll(async () => {
      server = await runTransport(plugin, { bodyLimitBytes: 1000 });
      addRoutes(server);
      proxy = await startProxy(name, server.port);
    });
    afterAll(async () => {
      await proxy?.close();
      await server.kernel.stop();
    });

    it.each(kept)('%s, then a body', async (_, sent, status) => {
      const { socketPath } = proxy;
      const host = { host: 'localhost' };
      const direct = await sendBy({ port: server.port, host: '127.0.0.1' }, sent);
      for (let turn = 0; turn < 3; turn++) {
        const answer = await sendBy({ socketPath }, { ...sent, headers: { ...sent.headers, ...host } });
        expect(answer.status).toBe(status);
        if (status < 400) expect(answer.text).toBe(direct.text);
        const next = { method: 'POST', path: '/echo', headers: { ...json, ...host }, body: '{"a":1}' };
        expect(await sendBy({ socketPath }, next)).toMatchObject({ status: 200, text: '{"a":1}' });
      }
    });

    it('a body that is refused, then one that is not', async () => {
      const { socketPath } = proxy;
      const headers = { ...json, host: 'localhost' };
      for (let turn = 0; turn < 3; turn++) {
        const large = { method: 'POST', path: '/echo', headers, body: 'x'.repeat(1001) };
        expect((await sendBy({ socketPath }, large)).status).toBe(413);
        const next = { method: 'POST', path: '/echo', headers, body: '{"a":1}' };
        expect(await sendBy({ socketPath }, next)).toMatchObject({ status: 200 });
      }
    });
  });
}
