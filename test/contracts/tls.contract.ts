import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Plugin } from '../../kernel/index.js';
import { makeCertificate } from '../support/certificate.js';
import { eventually } from '../support/eventually.js';
import { rejection, tempFolder } from '../support/kernel.js';
import { runTransport } from '../support/transport.js';
import { transportRunner } from './transport/stage.js';

const authority = makeCertificate('authority');
const large = Array.from({ length: 500_000 }, (_, index) => `${index} `).join('');

/** https and wss by two keys of the config, and another certificate without a restart; `isSeamless` where that resets no connection. */
export function tlsContract(
  name: string,
  plugin: Plugin,
  { isSeamless }: { readonly isSeamless: boolean },
): void {
  describe(`${name}: TLS`, () => {
    const run = transportRunner(plugin);
    const files = () => {
      const folder = tempFolder();
      const put = (subject: string) => {
        const { cert, key } = makeCertificate(subject, { issuer: authority });
        for (const [file, text] of [
          ['tls.crt', cert],
          ['tls.key', key],
        ] as const) {
          folder.write(`${file}.new`, text);
          renameSync(join(folder.path, `${file}.new`), join(folder.path, file));
        }
      };
      put('first');
      return { folder, put, certFile: join(folder.path, 'tls.crt'), keyFile: join(folder.path, 'tls.key') };
    };
    const start = async (more: object = {}) => {
      const { certFile, keyFile, ...rest } = files();
      const server = await run({ tls: { certFile, keyFile }, ...more });
      server.route({
        method: 'GET',
        path: '/origin',
        handler: ({ origin, remoteAddress }, reply) => reply.json(200, { origin, remoteAddress }),
      });
      server.route({
        method: 'POST',
        path: '/length',
        handler: async (asked, reply) => reply.json(200, JSON.stringify(await asked.json()).length),
      });
      server.route({
        method: 'GET',
        path: '/large',
        handler: (_, reply) => reply.stream(200, { 'content-type': 'text/plain' }, parts()),
      });
      server.websocket({
        path: '/echo',
        open: (socket) => ({ message: (text) => void socket.send(text) }),
      });
      const reload = async (expectedMsg: RegExp) => {
        const from = server.log.length;
        server.kernel.bus.emit('server:reload', {});
        await eventually(() =>
          expect(server.log.slice(from).some(({ msg }) => expectedMsg.test(msg))).toBe(true),
        );
      };
      return { ...server, ...rest, certFile, keyFile, reload };
    };

    it('serves requests of all kinds over https', async () => {
      const { port } = await start();
      expect(JSON.parse((await ask(port, '/origin')).text)).toEqual({
        origin: `https://127.0.0.1:${port}`,
        remoteAddress: '127.0.0.1',
      });
      expect((await ask(port, '/length', { body: JSON.stringify('x'.repeat(500_000)) })).text).toBe('500002');
      expect((await ask(port, '/large')).text).toBe(large);
      expect((await ask(port, '/none')).status).toBe(404);
      expect((await ask(port, '/origin', { headers: { host: 'evil.test' } })).status).toBe(421);
      const h2c = { connection: 'upgrade', upgrade: 'h2c' };
      expect((await ask(port, '/length', { headers: h2c, body: '"x"' })).text).toBe('3');
    });

    it('loses and doubles nothing when a reader is slow', async () => {
      const { port } = await start();
      const outgoing = request({ host: '127.0.0.1', port, path: '/large', agent: false, ca: authority.cert });
      outgoing.end();
      const [response] = await once(outgoing, 'response');
      let text = '';
      // Small reads, so that the buffers of both sides fill up between them.
      for await (const chunk of response) {
        text += chunk;
        await nextTurn();
      }
      expect(text).toBe(large);
    });

    it('says where it listens, and that it is over TLS', async () => {
      const { transport, log } = await start();
      expect(transport.address).toMatchObject({ tls: true });
      expect(log.find(({ msg }) => msg === 'listening')).toMatchObject({ tls: true });
    });

    it('serves WebSockets over wss', async () => {
      const { port } = await start();
      const client = await open(port);
      client.send('x'.repeat(60_000));
      const [echo] = await once(client, 'message');
      expect(String(echo)).toBe('x'.repeat(60_000));
      client.close(1000);
      expect((await once(client, 'close'))[0]).toBe(1000);
    });

    it('believes a trusted proxy that says http', async () => {
      const { port } = await start({ trustedProxies: ['127.0.0.1'] });
      const origin = async (headers: Record<string, string>) =>
        JSON.parse((await ask(port, '/origin', { headers })).text).origin;
      expect(await origin({ 'x-forwarded-proto': 'http' })).toMatch(/^http:/);
      expect(await origin({ 'x-forwarded-for': '192.0.2.1' })).toMatch(/^https:/);
    });

    it('gives new connections a new certificate, while old ones go on', async () => {
      const { port, put, reload, kernel } = await start();
      const client = await open(port);
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert });
      const before = await ask(port, '/origin', { agent });
      for (const subject of ['second', 'third']) {
        put(subject);
        await reload(/new connections get the new certificate/);
        // With a server name and without.
        expect(await subjectOf(port, 'localhost')).toBe(subject);
        expect(await subjectOf(port)).toBe(subject);
        expect((await ask(port, '/origin')).status).toBe(200);
      }
      client.send('still here');
      expect(String((await once(client, 'message'))[0])).toBe('still here');
      const after = await ask(port, '/origin', { agent });
      expect([after.status, after.localPort]).toEqual([200, before.localPort]);
      agent.destroy();
      const closed = once(client, 'close');
      await kernel.stop();
      expect((await closed)[0]).toBe(1001);
      expect(await connects(port)).toBe(false);
    });

    it(`${isSeamless ? 'loses no request' : 'resets at most the connections of that moment'}, of a client that comes again and again meanwhile`, async () => {
      const { port, put, reload } = await start();
      let isOver = false;
      const statuses = new Map<string, number>();
      const asking = (async () => {
        while (!isOver) {
          const { status } = await ask(port, '/origin').catch(({ code }) => ({ status: code as string }));
          statuses.set(String(status), (statuses.get(String(status)) ?? 0) + 1);
        }
      })();
      for (let count = 0; count < 5; count++) {
        put(`next ${count}`);
        await reload(/new connections get the new certificate/);
      }
      isOver = true;
      await asking;
      const { 200: served = 0, ECONNRESET: reset = 0, ...others } = Object.fromEntries(statuses);
      expect(others).toEqual({});
      expect(served).toBeGreaterThan(0);
      // One connection at a time, and five moments.
      expect(reset).toBeLessThanOrEqual(isSeamless ? 0 : 5);
    });

    it.each([
      ['is gone', (server: Files) => rmSync(server.certFile)],
      ['does not fit its key', ({ certFile }: Files) => writeFileSync(certFile, makeCertificate('x').cert)],
      ['is no certificate', ({ certFile }: Files) => writeFileSync(certFile, 'x')],
    ])('keeps the old certificate where the new one %s, and logs it', async (_, spoil) => {
      const server = await start();
      spoil(server);
      await server.reload(/cannot be used; the old one stays/);
      expect(await subjectOf(server.port)).toBe('first');
      server.put('second');
      await server.reload(/new connections get the new certificate/);
      expect(await subjectOf(server.port)).toBe('second');
      await server.reload(/has not changed/);
    });

    it.each([
      ['its certificate is missing', ({ certFile }: Files) => rmSync(certFile), /ENOENT/],
      ['its key is missing', ({ keyFile }: Files) => rmSync(keyFile), /ENOENT/],
      [
        'its key is that of another',
        ({ keyFile }: Files) => writeFileSync(keyFile, makeCertificate('x').key),
        /mismatch/,
      ],
      ['its key is none', ({ keyFile }: Files) => writeFileSync(keyFile, 'x'), /./],
    ])('does not start where %s, and names the files', async (_, spoil, why) => {
      const { certFile, keyFile } = files();
      spoil({ certFile, keyFile });
      const error = await rejection(runTransport(plugin, { tls: { certFile, keyFile } }));
      for (const file of [certFile, keyFile]) expect(error.message).toContain(file);
      expect(error.message).toMatch(why);
      expect((error.cause as { code?: string }).code).toBe('TLS_UNUSABLE');
    });

    it('does not start on a port that is taken, and others cannot take its own', async () => {
      const { port, certFile, keyFile } = await start();
      for (const more of [{}, { tls: { certFile, keyFile } }])
        expect((await rejection(runTransport(plugin, { port, ...more }))).message).toContain('EADDRINUSE');
    });

    it('survives what is no TLS, and connections that end within the handshake', async () => {
      const { port } = await start();
      for (const bytes of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '\x16\x03\x01\x00\x05hello', '']) {
        const socket = connectTcp(port, '127.0.0.1');
        socket.on('error', () => {});
        await once(socket, 'connect');
        if (bytes) {
          socket.write(bytes);
          socket.resume();
          await once(socket, 'close');
        } else socket.destroy();
      }
      expect((await ask(port, '/origin')).status).toBe(200);
    });

    it('counts connections from before their handshake on, and refuses those above the limit', async () => {
      const { port } = await start({ maxHttpConnections: 2 });
      const idle = await Promise.all([1, 2].map(() => connected(port)));
      expect(await connects(port)).toBe(false);
      for (const socket of idle) socket.destroy();
      await eventually(async () => expect((await ask(port, '/origin')).status).toBe(200));
      const clients: WebSocket[] = [];
      // WebSockets do not count: more of them than the limit.
      for (let count = 0; count < 4; count++) clients.push(await open(port));
      expect((await ask(port, '/origin')).status).toBe(200);
      for (const client of clients) client.terminate();
    });

    it('stops while handshakes are under way', async () => {
      const { port, kernel } = await start();
      const socket = await connected(port);
      const closed = once(socket, 'close');
      await kernel.stop();
      await closed;
    });
  });
}

interface Files {
  readonly certFile: string;
  readonly keyFile: string;
}

async function* parts(): AsyncIterable<string> {
  for (let at = 0; at < large.length; at += 100_000) yield large.slice(at, at + 100_000);
}

interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent;
}

async function ask(port: number, path: string, { headers = {}, body, agent }: Asking = {}) {
  const outgoing = request({
    host: '127.0.0.1',
    port,
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    agent: agent ?? false,
    ca: authority.cert,
    // Node.js would expect the certificate to be for the name of that header.
    ...(headers.host !== undefined && { checkServerIdentity: () => undefined }),
  });
  outgoing.end(body);
  const [response] = await once(outgoing, 'response');
  const { localPort } = response.socket;
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode as number, text, localPort };
}

async function open(port: number): Promise<WebSocket> {
  const client = new WebSocket(`wss://127.0.0.1:${port}/echo`, { ca: authority.cert });
  client.on('error', () => {});
  await once(client, 'open');
  return client;
}

/** The subject of the certificate that a new connection is shown. */
async function subjectOf(port: number, servername?: string): Promise<string> {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ...(servername && { servername }),
  });
  await once(socket, 'secureConnect');
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return CN as string;
}

/** A connection without a byte. */
async function connected(port: number) {
  const socket = connectTcp(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

/** Whether a handshake succeeds. */
async function connects(port: number): Promise<boolean> {
  return subjectOf(port).then(
    () => true,
    () => false,
  );
}
