import { afterEach, describe, expect, it } from 'vitest';
import plugin from '../../../plugins/transport-node/index.js';
import { eventually } from '../../support/eventually.js';
import { httpRequest, RawClient } from '../../support/raw-client.js';
import { call, type RunningTransport, runTransport } from '../../support/transport.js';

let server: RunningTransport;
afterEach(() => server.kernel.stop());

// How a client leaves that has sent three requests, of which none is answered yet.
const leaves: readonly (readonly [string, (client: RawClient) => Promise<unknown>])[] = [
  ['resets its connection', (client) => client.reset()],
  ['closes its connection', (client) => client.close()],
  [
    'sends what is no request behind them',
    async (client) => {
      await client.send('nonsense\r\n\r\n');
      await client.closed;
    },
  ],
];

describe('requests that wait behind another one', () => {
  it.each(leaves)('end with a client that %s', async (_, leave) => {
    server = await runTransport(plugin, {});
    let begun = 0;
    let gone = 0;
    server.route({
      method: 'GET',
      path: '/x',
      handler: (request) => {
        begun++;
        request.signal.addEventListener('abort', () => gone++);
      },
    });
    const client = await RawClient.connect(server.port);
    await client.send(String(httpRequest({ path: '/x' })).repeat(3));
    await eventually(() => expect(begun).toBe(3));
    await leave(client);
    await eventually(() => expect(gone).toBe(3));
    expect((await call(server.port, { path: '/' })).status).toBe(404);
  });

  it('are answered in their order', async () => {
    server = await runTransport(plugin, {});
    const answers: (() => void)[] = [];
    server.route({
      method: 'GET',
      path: '/x',
      handler: (request, reply) => {
        answers.push(() => reply.json(200, request.query.get('n')));
      },
    });
    const client = await RawClient.connect(server.port);
    const head = (n: number) => String(httpRequest({ path: `/x?n=${n}` }));
    await client.send(head(1) + head(2) + head(3));
    await eventually(() => expect(answers).toHaveLength(3));
    for (const answer of answers.reverse()) answer();
    await eventually(() => expect(client.text.match(/"\d"/g)).toEqual(['"1"', '"2"', '"3"']));
    await client.close();
  });
});
