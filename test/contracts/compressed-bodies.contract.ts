import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Plugin } from '../../kernel/index.js';
import { call, type RunningTransport, runTransport } from '../support/transport.js';

const limitBytes = 4096;
const json = Buffer.from('{"said":"Grüße"}');
const gzip = gzipSync(json);
const large = Buffer.from(JSON.stringify({ said: 'x'.repeat(2 * limitBytes) }));
const bomb = gzipSync(Buffer.alloc(3_000_000, 0x20));

/** What every transport must do with a body that is compressed. */
export function compressedBodiesContract(name: string, plugin: Plugin): void {
  describe(`${name}: a body`, () => {
    let server: RunningTransport;
    beforeAll(async () => {
      server = await runTransport(plugin, { bodyLimitBytes: limitBytes });
      server.route({
        method: 'POST',
        path: '/read',
        handler: async (request, reply) => reply.json(200, await request.json()),
      });
    });
    afterAll(() => server.kernel.stop());

    const post = (coding: string | undefined, body: Uint8Array | readonly Uint8Array[]) =>
      call(server.port, {
        method: 'POST',
        path: '/read',
        headers: {
          'content-type': 'application/json',
          ...(coding !== undefined && { 'content-encoding': coding }),
        },
        body,
      });

    it.each<[coding: string | undefined, body: Uint8Array | readonly Uint8Array[]]>([
      ['gzip', gzip],
      ['x-gzip', gzip],
      ['GZip', gzip],
      ['deflate', deflateSync(json)],
      ['deflate', deflateRawSync(json)],
      ['br', brotliCompressSync(json)],
      ['gzip, br', brotliCompressSync(gzip)],
      ['identity', json],
      ['', json],
      ['identity, gzip', gzip],
      [undefined, json],
      ['gzip', [...gzip].map((byte) => Uint8Array.of(byte))],
    ])('with the coding %j is read', async (coding, body) => {
      const { status, json: answer } = await post(coding, body);
      expect({ status, answer }).toEqual({ status: 200, answer: { said: 'Grüße' } });
    });

    it.each<[what: string, coding: string | undefined, body: Uint8Array, status: number, says: string]>([
      ['a coding that is not read', 'zstd', gzip, 415, '"zstd"'],
      ['compress', 'compress', gzip, 415, '"compress"'],
      ['a coding that is every object’s', 'constructor', gzip, 415, '"constructor"'],
      ['too many codings', 'gzip, gzip, gzip', gzip, 415, '"gzip"'],
      ['a label that is wrong', 'gzip', json, 400, 'Content-Encoding: the body is not gzip'],
      ['another one', 'br', gzip, 400, 'Content-Encoding: the body is not br'],
      ['another one', 'deflate', gzip, 400, 'Content-Encoding: the body is not deflate'],
      ['labels in the wrong order', 'br, gzip', brotliCompressSync(gzip), 400, 'Content-Encoding'],
      ['a body that is cut off', 'gzip', gzip.subarray(0, -6), 400, 'Content-Encoding'],
      ['an empty body', 'gzip', new Uint8Array(), 400, 'Content-Encoding'],
      ['a label that is missing', undefined, gzip, 400, 'looks like gzip'],
      ['what is no JSON', 'gzip', gzipSync('oops'), 400, 'JSON'],
      ['what is too large behind it', 'gzip', gzipSync(large), 413, String(limitBytes)],
      ['what is far too large behind it', 'gzip', bomb, 413, String(limitBytes)],
      ['the same in another coding', 'br', brotliCompressSync(large), 413, String(limitBytes)],
      ['what is too large behind two', 'gzip, gzip', gzipSync(gzipSync(large)), 413, String(limitBytes)],
    ])('is refused for %s (%s)', async (_, coding, body, status, says) => {
      expect(body.length).toBeLessThan(limitBytes);
      const answer = await post(coding, body);
      expect(answer.status).toBe(status);
      expect(answer.json.error.message).toContain(says);
      expect(answer.headers['accept-encoding']).toBe(status === 415 ? 'gzip, deflate, br' : undefined);
    });

    it('that is too large before it is read is refused as any other', async () => {
      const { status } = await post('gzip', Buffer.alloc(limitBytes + 1));
      expect(status).toBe(413);
    });
  });
}
