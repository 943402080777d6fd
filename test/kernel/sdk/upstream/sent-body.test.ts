import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exchange } from '#sdk/upstream';
import { SocketClient } from '../../../../kernel/sdk/upstream/http1/socket-client.js';
import { NodeClient } from '../../../../kernel/sdk/upstream/node-client.js';

const clients = {
  sockets: () => new SocketClient(5000, new NodeClient(5000)),
  node: () => new NodeClient(5000),
};
const bodies: readonly (readonly [string, string])[] = [
  ['empty', ''],
  ['small', '{"a":"é😀"}'],
  ['large, of ASCII', 'a'.repeat(3_000_000)],
  ['large, with a character of Latin-1', `${'a'.repeat(100_000)}é`],
  ['large, with others', `${'a'.repeat(100_000)}–😀`],
  ['at the border', 'a'.repeat(64 * 1024)],
  ['above the border', 'a'.repeat(64 * 1024 + 1)],
];

describe.each(Object.entries(clients))('a body sent by %s', (_, create) => {
  const server = createServer(async (req, res) => {
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part);
    res.end(JSON.stringify([req.headers['content-length'], Buffer.concat(parts).toString()]));
  });
  let url: URL;
  const client = create();
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
  afterAll(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });

  // One after the other over one connection.
  it.each(bodies)('arrives as it is: %s', async (_, body) => {
    const exchange = new Exchange(client, { bodyLimitBytes: 1e7 }, new AbortController().signal);
    const response = await exchange.send(url, { method: 'POST', body });
    const [length, text] = JSON.parse(await exchange.text(response));
    expect([length, text === body]).toEqual([`${Buffer.byteLength(body)}`, true]);
    await exchange.close(true);
  });
});
