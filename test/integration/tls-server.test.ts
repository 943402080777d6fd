import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.js';
import { tempFolder } from '../support/kernel.js';
import { runWaggle, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

const first = makeCertificate('first');
const second = makeCertificate('second');
const trusting = (ca: string) => ({ ca }) as object;

describe.each(['uws', 'node'] as const)('the command with TLS, over transport-%s', (transport) => {
  it('answers over wss, and takes a new certificate on SIGHUP while a reply is running', async () => {
    const { path, write } = tempFolder();
    const tls = { certFile: join(path, 'tls.crt'), keyFile: join(path, 'tls.key') };
    const put = ({ cert, key }: typeof first) => {
      write('tls.key', key);
      write('tls.crt', cert);
    };
    put(first);
    const config = {
      plugins: { 'transport-uws': { config: { tls } }, 'agent-eliza': { config: { wordDelayMs: 20 } } },
    };
    const server = await startServer({ transport, config });
    expect((await server.untilLog(({ msg }) => msg === 'the chat page')).url).toMatch(/^https:/);
    const url = `wss://127.0.0.1:${server.port}/ws`;
    const old = await WsClient.connect(`${url}/a`, trusting(first.cert));
    old.send({ type: 'stream_request', content: 'Hallo' });
    await old.until(({ type }) => type === 'streaming_token');
    put(second);
    server.signal('SIGHUP');
    await server.untilLog(({ msg }) => msg === 'new connections get the new certificate');
    await expect(WsClient.connect(`${url}/b`, trusting(first.cert))).rejects.toThrow();
    const client = await WsClient.connect(`${url}/b`, trusting(second.cert));
    expect(textOf(await client.ask({ content: 'Hallo' }))).not.toBe('');
    expect(await old.end()).toMatchObject({ type: 'streaming_end' });
    writeFileSync(tls.keyFile, first.key);
    server.signal('SIGHUP');
    await server.untilLog(({ msg }) => msg.includes('the old one stays'));
    expect(await server.stop()).toBe(0);
    expect(server.stdout).not.toContain('PRIVATE KEY');
  });

  it('does not start with a key that does not fit, and names the files', async () => {
    const use = transport === 'node' ? { use: 'transport-node' } : {};
    const run = await runWaggle('start', {
      files: { 'tls.crt': first.cert, 'tls.key': second.key },
      config: {
        plugins: {
          'transport-uws': { ...use, config: { tls: { certFile: './tls.crt', keyFile: 'tls.key' } } },
        },
      },
    });
    expect(await run.exited).toBe(1);
    expect(run.stderr).toMatch(/"\.\/tls\.crt" with the key "tls\.key": .*mismatch/);
  });
});

it('a server without TLS goes on after a SIGHUP', async () => {
  const server = await startServer();
  server.signal('SIGHUP');
  await server.untilLog(({ msg }) => msg.startsWith('SIGHUP'));
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
});
