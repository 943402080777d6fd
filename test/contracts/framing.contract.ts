import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Plugin } from '../../kernel/index.js';
import { httpRequest, parseResponseHead, RawClient } from '../support/raw-client.js';
import { call, type RunningTransport, runTransport } from '../support/transport.js';

const glued = 'DELETE /victim HTTP/1.1\r\nHost: localhost\r\n\r\n';
const size = glued.length;
const handshake =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: ';
const chunked = 'Transfer-Encoding: chunked\r\n';

/** A head without its host, its last line break and the one after it; then what is sent behind it, before the glued request. */
type Shape = readonly [name: string, head: string, rest?: string];

const echo = (fields: string) => `POST /echo HTTP/1.1\r\n${fields}`;

/** Answered by every transport, which then closes. */
const answered: readonly Shape[] = [
  ['two lengths, the shorter one first', echo(`Content-Length: 2\r\nContent-Length: ${2 + size}\r\n`), '{}'],
  ['two lengths, the longer one first', echo(`Content-Length: ${2 + size}\r\nContent-Length: 2\r\n`), '{}'],
  ['one length twice', echo('Content-Length: 2\r\nContent-Length: 2\r\n'), '{}'],
  ['no length, and one', echo('Content-Length: 0\r\nContent-Length: 2\r\n'), '{}'],
  ['a list of lengths', echo('Content-Length: 2, 2\r\n'), '{}'],
  ['an empty length', echo('Content-Length: \r\n')],
  ['a length with a sign', echo('Content-Length: +2\r\n'), '{}'],
  ['a negative length', echo('Content-Length: -2\r\n'), '{}'],
  ['a hexadecimal length', echo('Content-Length: 0x2\r\n'), '{}'],
  ['a length with a fraction', echo('Content-Length: 2.0\r\n'), '{}'],
  ['a length with an exponent', echo('Content-Length: 1e2\r\n'), '{}'],
  ['a length with a space in it', echo('Content-Length: 2 0\r\n'), '{}'],
  ['a length with more behind it', echo('Content-Length: 2x\r\n'), '{}'],
  ['a length beyond 64 bits', echo('Content-Length: 18446744073709551618\r\n'), '{}'],
  ['a length, then chunks', echo(`Content-Length: 5\r\n${chunked}`), '0\r\n\r\n'],
  ['chunks, then a length', echo(`${chunked}Content-Length: 5\r\n`), '0\r\n\r\n'],
  ['a coding that is none', echo('Transfer-Encoding: xchunked\r\n'), '0\r\n\r\n'],
  ['the coding "identity"', echo('Transfer-Encoding: identity\r\n')],
  ['the coding "identity" and a length', echo(`Transfer-Encoding: identity\r\nContent-Length: ${size}\r\n`)],
  ['two codings in one line', echo('Transfer-Encoding: gzip, chunked\r\n'), '2\r\n{}\r\n0\r\n\r\n'],
  ['a coding behind the chunks', echo('Transfer-Encoding: chunked, identity\r\n'), '2\r\n{}\r\n0\r\n\r\n'],
  ['two codings in two lines', echo(`${chunked}Transfer-Encoding: identity\r\n`), '2\r\n{}\r\n0\r\n\r\n'],
  ['one coding twice', echo(`${chunked}${chunked}`), '2\r\n{}\r\n0\r\n\r\n'],
  ['an empty coding', echo('Transfer-Encoding: \r\n')],
  ['an empty coding and a length', echo('Transfer-Encoding: \r\nContent-Length: 2\r\n'), '{}'],
  ['a chunk size in C', echo(chunked), '0x2\r\n{}\r\n0\r\n\r\n'],
  ['a negative chunk size', echo(chunked), '-2\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size with a sign', echo(chunked), '+2\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size that is none', echo(chunked), 'zz\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size with more behind it', echo(chunked), '2g\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size beyond 64 bits', echo(chunked), '10000000000000002\r\n{}\r\n0\r\n\r\n'],
  ['an empty chunk size', echo(chunked), '\r\n{}\r\n0\r\n\r\n'],
  ['chunk sizes that end in LF', echo(chunked), '2\n{}\n0\n\n'],
  ['a chunk longer than its size', echo(chunked), '2\r\n{}XX0\r\n\r\n'],
  ['no line break after the last chunk', echo(chunked), '2\r\n{}\r\n0\r\nXX'],
  ['a length among the trailers', echo(chunked), `2\r\n{}\r\n0\r\nContent-Length: ${size}\r\n\r\n`],
  ['chunks in HTTP/1.0', `POST /echo HTTP/1.0\r\n${chunked}`, '2\r\n{}\r\n0\r\n\r\n'],
  ['a first line that ends in LF', 'POST /echo HTTP/1.1\nContent-Length: 2\r\n', '{}'],
  ['a length over the limit', echo('Content-Length: 1000000\r\n')],
  ['chunks over the limit', echo(chunked), `7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`],
  ['a body for an unknown path', `POST /none HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body for an unknown method', `PUT /x HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body of a type that is not read', echo(`Content-Type: text/plain\r\nContent-Length: ${size}\r\n`)],
  ['a body of a foreign page', echo(`Origin: https://evil.test\r\nContent-Length: ${size}\r\n`)],
  ['a body that its handler does not read', `POST /early HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body whose handler throws', `POST /throws HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body of a GET', `GET /x HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a long body of a GET', 'GET /x HTTP/1.1\r\nContent-Length: 5000\r\n'],
  ['chunks of a GET', `GET /x HTTP/1.1\r\n${chunked}`, `${size.toString(16)}\r\n`],
  ['a body of a HEAD', `HEAD /x HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body of a HEAD of a stream', `HEAD /stream HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body of an OPTIONS', `OPTIONS /x HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['chunks of an OPTIONS', `OPTIONS /x HTTP/1.1\r\n${chunked}`, `${size.toString(16)}\r\n`],
  ['a body of a DELETE', `DELETE /x HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body of a TRACE', `TRACE /x HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body before a stream', `POST /stream HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['a body of an answer without one', `POST /empty HTTP/1.1\r\nContent-Length: ${size}\r\n`],
  ['an upgrade with a body', `GET /ws HTTP/1.1\r\n${handshake}13\r\nContent-Length: ${size}\r\n`],
  ['an upgrade with chunks', `GET /ws HTTP/1.1\r\n${handshake}13\r\n${chunked}`, `${size.toString(16)}\r\n`],
  ['a refused upgrade', `GET /ws HTTP/1.1\r\n${handshake}8\r\n`],
  ['an upgrade of nothing', `GET /none HTTP/1.1\r\n${handshake}13\r\n`],
  ['an upgrade by POST, with a body', `POST /ws HTTP/1.1\r\n${handshake}13\r\nContent-Length: ${size}\r\n`],
  ['the last request of its client', 'GET /x HTTP/1.1\r\nConnection: close\r\n'],
];

/** Where a native layer may also say nothing and wait for more. */
const unanswered: readonly Shape[] = [
  ['a space before the colon of a length', echo('Content-Length : 2\r\n'), '{}'],
  [
    'a space before the colon of a coding',
    echo(`Transfer-Encoding : chunked\r\nContent-Length: ${5 + size}\r\n`),
    '0\r\n\r\n',
  ],
  ['a folded length', echo('Content-Length: 2\r\n 0\r\n'), '{}'],
  ['a folded coding', echo('Transfer-Encoding:\r\n chunked\r\n'), '2\r\n{}\r\n0\r\n\r\n'],
  ['an odd space before a coding', echo('Transfer-Encoding:\vchunked\r\n'), '2\r\n{}\r\n0\r\n\r\n'],
  ['a coding behind a bare LF', echo(`X: y\n${chunked}Content-Length: ${5 + size}\r\n`), '0\r\n\r\n'],
  ['a coding behind a bare CR', echo(`X: y\r${chunked}Content-Length: ${5 + size}\r\n`), '0\r\n\r\n'],
  ['a bare CR behind a length', echo('Content-Length: 2\rX: y\r\n'), '{}'],
  ['NUL in a header', echo('X: a\0b\r\nContent-Length: 2\r\n'), '{}'],
  ['a header without a colon', echo('Content-Length\r\nContent-Length: 2\r\n'), '{}'],
  ['a line break in a chunk extension', echo(chunked), '2;a\nxx\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size near 64 bits', echo(chunked), 'FFFFFFFFFFFFFFFE\r\n{}\r\n0\r\n\r\n'],
];

/** What follows them is a request of its own. */
const whole: readonly Shape[] = [
  ['a GET', 'GET /x HTTP/1.1\r\n'],
  ['a body with its length', echo('Content-Length: 2\r\n'), '{}'],
  ['a length with zeros before it', echo('Content-Length: 0002\r\n'), '{}'],
  ['a tab before a length', echo('Content-Length:\t2\r\n'), '{}'],
  ['a POST without a body', echo('')],
  ['a POST with an empty body', echo('Content-Length: 0\r\n')],
  ['a body that is no JSON', echo('Content-Length: 2\r\n'), '{{'],
  ['an unknown path', 'GET /none HTTP/1.1\r\n'],
];

/** A request that is refused leaves nothing behind that runs as the next one. */
export function framingContract(name: string, plugin: Plugin): void {
  let server: RunningTransport;
  let deleted: number;
  beforeEach(async () => {
    server = await runTransport(plugin, { bodyLimitBytes: 1000 });
    deleted = 0;
    const { route, websocket } = server;
    route({
      method: 'DELETE',
      path: '/victim',
      handler: (_, reply) => {
        deleted++;
        reply.json(200, 'deleted');
      },
    });
    route({
      method: 'POST',
      path: '/echo',
      handler: async (request, reply) => reply.json(200, await request.json()),
    });
    for (const method of ['GET', 'DELETE'] as const)
      route({ method, path: '/x', handler: (_, reply) => reply.json(200, 'x') });
    route({ method: 'POST', path: '/early', handler: (_, reply) => reply.json(200, 'early') });
    route({ method: 'POST', path: '/empty', handler: (_, reply) => reply.send(204, '', {}) });
    route({
      method: 'POST',
      path: '/throws',
      handler: () => {
        throw new Error('broken');
      },
    });
    for (const method of ['GET', 'POST'] as const)
      route({
        method,
        path: '/stream',
        handler: (_, reply) =>
          reply.stream(
            200,
            {},
            (async function* () {
              yield 'part';
            })(),
          ),
      });
    websocket({ path: '/ws', open: () => ({ message: () => {} }) });
  });
  afterEach(() => server.kernel.stop());

  const rows = (shapes: readonly Shape[]) =>
    shapes.map(([name, head, rest = '']) => [name, head, rest] as const);
  const withHost = (head: string) => `${head.replace('\n', '\nHost: localhost\r\n')}\r\n`;
  const ways: readonly (readonly [string, (head: string, rest: string) => readonly string[]])[] = [
    ['at once', (head, rest) => [withHost(head) + rest + glued]],
    ['head first', (head, rest) => [withHost(head), rest + glued]],
    ['what is glued last', (head, rest) => [withHost(head) + rest, glued]],
  ];
  /** By the answer to this one, the server has read what was sent before. */
  const settled = async () => {
    for (let turn = 0; turn < 3; turn++) await call(server.port, { path: '/x' });
  };
  const sendAll = async (client: RawClient, pieces: readonly string[]) => {
    for (const piece of pieces) {
      // The server may have closed already.
      await client.send(Buffer.from(piece, 'latin1')).catch(() => {});
      if (pieces.length > 1) await settled();
    }
  };
  const statuses = (client: RawClient) => client.text.match(/HTTP\/1\.1 \d+/g) ?? [];

  describe.each(ways)(`${name}: nothing runs behind a request that was sent %s:`, (_, pieces) => {
    it.each(rows(answered))('%s', async (_, head, rest) => {
      const client = await RawClient.connect(server.port);
      await sendAll(client, pieces(head, rest));
      await client.waitForEnd();
      expect(statuses(client)).toHaveLength(1);
      expect(parseResponseHead(client.bytes)?.headers.connection).toBe('close');
      await client.close();
      expect(deleted).toBe(0);
    });

    it.each(rows(unanswered))('%s', async (_, head, rest) => {
      const client = await RawClient.connect(server.port);
      await sendAll(client, pieces(head, rest));
      await settled();
      expect(statuses(client).length).toBeLessThanOrEqual(1);
      await client.close();
      expect(deleted).toBe(0);
    });

    it.each(rows(whole))('but does behind %s', async (_, head, rest) => {
      const client = await RawClient.connect(server.port);
      await sendAll(client, pieces(head, rest));
      await client.waitForText('"deleted"');
      expect(statuses(client)).toHaveLength(2);
      await client.close();
      expect(deleted).toBe(1);
    });
  });

  // Behind a proxy all clients have one address.
  it.each([
    ['POST', 'Content-Length: 2\r\nContent-Length: 3\r\n', `{}${glued}`],
    ['HEAD', 'Content-Length: 2\r\nContent-Length: 3\r\n', `{}${glued}`],
    ['OPTIONS', 'Transfer-Encoding: chunked\r\n', `0\r\n\r\n${glued}`],
    ['DELETE', 'Transfer-Encoding: x\r\n', glued],
    ['GET', 'Connection: close\r\n', ''],
    ['HEAD', 'Connection: close\r\n', ''],
    ['OPTIONS', 'Connection: close\r\n', ''],
  ])(`${name}: a connection that ends costs nobody else anything: %s %j %j`, async (method, head, rest) => {
    const bad = `${method} /echo HTTP/1.1\r\nHost: localhost\r\n${head}\r\n${rest}`;
    const others = await Promise.all(Array.from({ length: 30 }, () => RawClient.connect(server.port)));
    for (let turn = 1; turn <= 5; turn++) {
      const clients = await Promise.all(others.map(() => RawClient.connect(server.port)));
      // Written in one turn, so that the server finds all of them at once.
      const sent = others.flatMap((other, at) => [
        clients[at]!.send(bad),
        other.send(httpRequest({ path: '/x' })),
      ]);
      await Promise.all(sent);
      for (const client of clients) {
        await client.waitForEnd();
        expect(statuses(client)).toHaveLength(1);
        await client.close();
      }
      for (const other of others)
        await other.waitFor(() => (statuses(other).length === turn ? true : undefined));
    }
    for (const other of others) await other.close();
    expect(deleted).toBe(0);
  });
}
