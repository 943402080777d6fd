import { Agent } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Plugin } from '../../kernel/index.js';
import { httpRequest, RawClient } from '../support/raw-client.js';
import { addRoutes, json, kept, type Sent, sendBy } from '../support/requests.js';
import { deferred, type RunningTransport, runTransport } from '../support/transport.js';

const ended: readonly (readonly [name: string, sent: Sent, status: number])[] = [
  ['a 413', { method: 'POST', path: '/echo', headers: json, body: 'x'.repeat(2000) }, 413],
  ['a 415', { method: 'POST', path: '/echo', headers: { 'content-type': 'text/plain' }, body: '{}' }, 415],
  ['a 404 before its body', { method: 'POST', path: '/none', headers: json, body: '{}' }, 404],
  ['a HEAD with a body', { method: 'HEAD', path: '/x', headers: { 'content-length': '2' }, body: '{}' }, 200],
  [
    'an OPTIONS with a body',
    { method: 'OPTIONS', path: '/x', headers: { 'content-length': '2' }, body: '{}' },
    204,
  ],
];

const handshake = { 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };

async function* endless(left: Promise<void>) {
  yield 'part';
  await left;
}

/** What a proxy builds on: a connection serves one request after the other, and every answer says where it ends. */
export function keepAliveContract(name: string, plugin: Plugin): void {
  let server: RunningTransport;
  let agent: Agent;
  beforeEach(async () => {
    server = await runTransport(plugin, { bodyLimitBytes: 1000 });
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
    addRoutes(server);
  });
  afterEach(async () => {
    agent.destroy();
    await server.kernel.stop();
  });

  const send = (sent: Sent) => sendBy({ agent, port: server.port, host: '127.0.0.1' }, sent);

  describe(`${name}: two requests on one connection`, () => {
    it.each(kept)('%s, twice, and another', async (_, sent, status, length) => {
      for (const isReused of [false, true]) {
        const answer = await send(sent);
        expect(answer).toMatchObject({ status, isReused });
        const named = answer.headers['content-length'];
        if (length === 'any') expect(named).toMatch(/^\d{2,3}$/);
        else if (length !== 'perhaps') expect(named).toBe(length);
        if (sent.method === 'HEAD' || status === 204 || status === 304) expect(answer.text).toBe('');
        expect(answer.headers.connection).not.toBe('close');
      }
      expect(await send({ path: '/x' })).toMatchObject({ status: 200, text: '"x"', isReused: true });
    });

    it.each([
      ['/slow', 'websocket'],
      ['/slow', 'h2c'],
      ['/endless', 'websocket'],
      ['/endless', 'h2c'],
    ])('but nothing behind %s, which has no answer yet, that offers %s', async (path, protocol) => {
      const [slow, left] = [deferred(), deferred()];
      server.route({
        method: 'GET',
        path: '/slow',
        handler: async ({ signal }) => {
          signal.addEventListener('abort', () => slow.resolve());
          await slow.promise;
        },
      });
      server.route({
        method: 'GET',
        path: '/endless',
        handler: (_, reply) => reply.stream(200, {}, endless(left.promise)),
      });
      server.websocket({ path: '/ws', open: () => ({ message: () => {} }) });
      const client = await RawClient.connect(server.port);
      const headers = { ...handshake, Connection: 'Upgrade', Upgrade: protocol };
      await client.send(Buffer.concat([httpRequest({ path }), httpRequest({ path: '/ws', headers })]));
      await client.waitForEnd();
      expect(client.text).not.toContain('101 Switching');
      await client.close();
      left.resolve();
      expect(await send({ path: '/x' })).toMatchObject({ status: 200, text: '"x"' });
    });

    it.each(ended)('not after %s', async (_, sent, status) => {
      const answer = await send(sent);
      expect(answer).toMatchObject({ status, headers: { connection: 'close' } });
      expect(await send({ path: '/x' })).toMatchObject({ status: 200, text: '"x"', isReused: false });
    });
  });
}
