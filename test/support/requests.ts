import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { RunningTransport } from './transport.js';

/** One request. */
export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export const json = { 'content-type': 'application/json' };
const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' };
const page = { origin: 'http://localhost:5173', 'access-control-request-method': 'POST' };

// What is sent, the status, and the length that the answer names.
export const kept: readonly (readonly [
  name: string,
  sent: Sent,
  status: number,
  length: string | undefined,
])[] = [
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

/** The routes that these requests are for. */
export function addRoutes({ route }: RunningTransport): void {
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
}

/** One request, and what came of it. */
export async function sendBy(options: RequestOptions, { body, ...sent }: Sent) {
  const outgoing = request({ ...options, ...sent });
  outgoing.on('error', () => {});
  outgoing.end(body);
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('close', () => reject(new Error('closed without an answer')));
  });
  let text = '';
  for await (const chunk of incoming) text += chunk;
  return { status: incoming.statusCode, headers: incoming.headers, text, isReused: outgoing.reusedSocket };
}
