import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exchange, type UpstreamResponse } from '#sdk/upstream';
import type { HttpClient } from '../../../../kernel/sdk/upstream/http-client.js';
import { SocketClient } from '../../../../kernel/sdk/upstream/http1/socket-client.js';
import { NodeClient } from '../../../../kernel/sdk/upstream/node-client.js';
import { type ScriptedServer, type Scripts, startScriptedServer } from '../../../support/scripted-server.js';

const gzip = { 'content-encoding': 'gzip' };

describe.each([
  ['sockets', () => new SocketClient(5000, new NodeClient(5000))],
  ['node:http', () => new NodeClient(5000)],
])('an exchange over %s', (_, createClient) => {
  let server: ScriptedServer;
  let client: HttpClient;
  beforeEach(() => {
    client = createClient();
  });
  afterEach(async () => {
    client.close();
    await server.close();
  });

  const exchange = (signal = new AbortController().signal) =>
    new Exchange(client, { bodyLimitBytes: 1000 }, signal);
  const start = async (scripts: Scripts) => {
    server = await startScriptedServer({}, { gets: scripts });
    return new URL(server.url);
  };
  /** Reads a body to its end. */
  const read = (one: Exchange, response: UpstreamResponse) =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      one.body(response).read({
        onBytes: (bytes) => {
          text += Buffer.from(bytes).toString();
        },
        onEnd: () => resolve(text),
        onError: reject,
      });
    });

  it.each<readonly [what: string, scripts: Scripts]>([
    ['that is complete and not yet decoded', { headers: gzip, body: gzipSync('hi') }],
    ['that has no end', { headers: gzip, body: gzipSync('hi').subarray(0, 12), end: 'open' }],
    ['that is not compressed', { body: 'hi', end: 'open' }],
  ])('ends a body %s when it is aborted', async (_what, scripts) => {
    const url = await start(scripts);
    const one = exchange();
    const reading = read(one, await one.send(url));
    one.abort();
    await expect(reading).rejects.toMatchObject({ code: expect.stringMatching(/^(ABORTED|ECONNRESET)$/) });
    await expect(one.send(url)).rejects.toMatchObject({ code: 'ABORTED' });
    await one.close(false);
  });

  it.each([
    ['as it is', {}, Buffer.from('x'.repeat(2000))],
    ['compressed', gzip, gzipSync('x'.repeat(2000))],
  ])('reads no text beyond its limit, %s, and closes the connection', async (_what, headers, body) => {
    const url = await start({ headers, body, end: 'open' });
    const one = exchange();
    await expect(one.text(await one.send(url))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await server.requests[0]?.closed;
  });

  it('sends nothing once its signal has aborted, and fails for that reason', async () => {
    const url = await start({});
    await expect(exchange(AbortSignal.abort('enough')).send(url)).rejects.toBe('enough');
    expect(server.requests).toEqual([]);
  });

  it('can send again', async () => {
    const url = await start([{ body: 'one' }, { body: 'two' }]);
    const one = exchange();
    expect([await one.text(await one.send(url)), await one.text(await one.send(url))]).toEqual([
      'one',
      'two',
    ]);
    expect(one.close(true)).toBeUndefined();
  });
});
