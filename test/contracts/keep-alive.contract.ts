import { Agent, type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Plugin } from '../../kernel/index.js';
import { type RunningTransport, runTransport } from '../support/transport.js';

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const json = { 'content-type': 'application/json' };
const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' };
const page = { origin: 'http://localhost:5173', 'access-control-request-method': 'POST' };

// What is sent, the status, and the length that the answer names.
const kept: readonly (readonly [name: string, sent: Sent, status: number, length: string | undefined])[] = [
  ['a GET', { path: '/x' }, 200, '3'],
  ['a GET with an empty answer', { path: '/nothing' }, 200, '0'],
  ['a HEAD', { method: 'HEAD', path: '/x' }, 200, '3'],
  ['a HEAD of an empty answer', { method: 'HEAD', path: '/nothing' }, 200, '0'],
  ['a HEAD of a long answer', { method: 'HEAD', path: '/long' }, 200, '200000'],
  ['a HEAD of a stream', { method: 'HEAD', path: '/stream' }, 200, undefined],
  ['a HEAD of nothing', { method: 'HEAD', path: '/none' }, 404, 'any'],
  ['a HEAD of a 204', { method: 'HEAD', path: '/204' }, 204, undefined],
  ['a HEAD of a 304', { method: 'HEAD', path: '/304' }, 304, undefined],
  ['an OPTIONS', { method: 'OPTIONS', path: '/x' }, 204, undefined],
  ['a preflight', { method: 'OPTIONS', path: '/x', headers: page }, 204, undefined],
  ['a 204', { path: '/204' }, 204, undefined],
  ['a 204 after a body', { method: 'POST', path: '/204', headers: json, body: '{}' }, 204, undefined],
  ['a 304', { path: '/304' }, 304, undefined],
  ['a 404', { path: '/none' }, 404, 'any'],
  ['a 405', { method: 'DELETE', path: '/x' }, 405, 'any'],
  ['a body', { method: 'POST', path: '/echo', headers: json, body: '{}' }, 200, '2'],
  ['a body and an offer of HTTP/2', { method: 'POST', path: '/echo', headers: h2c, body: '{}' }, 200, '2'],
  ['an offer of HTTP/2', { path: '/x', headers: h2c }, 200, '3'],
  ['an offer of TLS', { path: '/x', headers: { connection: 'upgrade', upgrade: 'TLS/1.2' } }, 200, '3'],
  ['a body that is no JSON', { method: 'POST', path: '/echo', headers: json, body: '{' }, 400, 'any'],
  ['a stream', { path: '/stream' }, 200, undefined],
  ['a stream after a body', { method: 'POST', path: '/stream', headers: json, body: '{}' }, 200, undefined],
  ['an empty stream', { path: '/stream?empty' }, 200, 'perhaps'],
];

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

/** What a proxy builds on: a connection serves one request after the other, and every answer says where it ends. */
export function keepAliveContract(name: string, plugin: Plugin): void {
  let server: RunningTransport;
  let agent: Agent;
  beforeEach(async () => {
    server = await runTransport(plugin, { bodyLimitBytes: 1000 });
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { route } = server;
    const text = { 'content-type': 'text/plain' };
    route({ method: 'GET', path: '/x', handler: (_, reply) => reply.json(200, 'x') });
    route({ method: 'GET', path: '/nothing', handler: (_, reply) => reply.send(200, '', text) });
    route({
      method: 'GET',
      path: '/long',
      handler: (_, reply) => reply.send(200, 'x'.repeat(200_000), text),
    });
    route({ method: 'GET', path: '/204', handler: (_, reply) => reply.send(204, '', {}) });
    route({ method: 'GET', path: '/304', handler: (_, reply) => reply.send(304, '', { etag: '"1"' }) });
    route({
      method: 'POST',
      path: '/204',
      handler: async (request, reply) => {
        await request.json();
        reply.send(204, '', {});
      },
    });
    route({
      method: 'POST',
      path: '/echo',
      handler: async (request, reply) => reply.json(200, await request.json()),
    });
    for (const method of ['GET', 'POST'] as const)
      route({
        method,
        path: '/stream',
        handler: async (incoming, reply) => {
          if (method === 'POST') await incoming.json();
          const parts = incoming.query.has('empty') ? [] : ['one', 'two'];
          await reply.stream(
            200,
            {},
            (async function* () {
              yield* parts;
            })(),
          );
        },
      });
  });
  afterEach(async () => {
    agent.destroy();
    await server.kernel.stop();
  });

  const send = async (sent: Sent) => {
    const outgoing = request({ agent, port: server.port, host: '127.0.0.1', ...sent });
    outgoing.on('error', () => {});
    outgoing.end(sent.body);
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve);
      outgoing.on('close', () => reject(new Error('closed without an answer')));
    });
    let text = '';
    for await (const chunk of incoming) text += chunk;
    return { status: incoming.statusCode, headers: incoming.headers, text, isReused: outgoing.reusedSocket };
  };

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

    it.each(ended)('not after %s', async (_, sent, status) => {
      const answer = await send(sent);
      expect(answer).toMatchObject({ status, headers: { connection: 'close' } });
      expect(await send({ path: '/x' })).toMatchObject({ status: 200, text: '"x"', isReused: false });
    });
  });
}
