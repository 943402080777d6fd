import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RedisConfig, RedisLink, RedisScript, redisConfig } from '#sdk/redis';
import { makeCertificate } from '../support/certificate.js';
import { eventually } from '../support/eventually.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { freePort } from '../support/free-port.js';
import { recordingLogger, rejection, silentLogger, tempFolder } from '../support/kernel.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { pageText } from '../support/pages.js';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.js';
import { endAll, impatientTimes, later, quickTimes, startNode } from './node.js';

let leaks: LeakCheck;
beforeEach(() => {
  leaks = leakCheck();
});
afterEach(async () => {
  await endAll();
  await leaks.settled();
});

async function startServer(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await RedisServer.start(options);
  later(() => server.stop());
  return server;
}

function linkTo(config: Partial<RedisConfig>, logger = silentLogger, times = quickTimes.link): RedisLink {
  const link = new RedisLink({ config: redisConfig.parse(config), name: 'test', logger, times });
  later(() => link.close());
  return link;
}

async function started(config: Partial<RedisConfig>): Promise<RedisLink> {
  const link = linkTo(config);
  await link.start();
  return link;
}

describe('a password', () => {
  const password = 'p/?#%@: "\\wörd';

  it('may have any characters, in its own key and percent-encoded in the URL', async () => {
    const server = await startServer({
      withPort: true,
      config: [],
      login: { password },
    });
    const first = await started({ url: server.url });
    await first.send('CONFIG', 'SET', 'requirepass', password);
    await started({ url: server.url, password });
    const link = await started({ url: `redis://:${encodeURIComponent(password)}@127.0.0.1:${server.port}` });
    expect(await link.send('GET', 'x')).toBeNull();
  });

  it.each([
    ['wrong', { password: `${password}!` }, 'it does not accept this user and password'],
    ['missing', {}, 'it asks for a password'],
  ])('that is %s is refused at once, and appears nowhere', async (_, more, why) => {
    const server = await startServer({ login: { password } });
    await server.command('PING').catch(() => {});
    await (await started({ url: server.url })).send('CONFIG', 'SET', 'requirepass', password);
    const { logger, lines } = recordingLogger();
    const error = (await rejection(linkTo({ url: server.url, ...more }, logger).start())) as Error & {
      code: string;
    };
    expect(error).toMatchObject({ code: 'ENGINE_UNUSABLE', message: expect.stringContaining(why) });
    logger.error({ err: error }, 'start failed');
    expect(JSON.stringify(lines)).not.toMatch(/wörd/);
  });

  it('is not repeated where an old server repeats it', async () => {
    const sockets = new Set<Socket>();
    const old = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', () =>
        socket.write(
          '-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `s3cret`\r\n',
        ),
      );
    });
    const port = await freePort();
    await new Promise<void>((resolve) => old.listen(port, '127.0.0.1', resolve));
    later(() => {
      for (const socket of sockets) socket.destroy();
      old.close();
    });
    const { logger, lines } = recordingLogger();
    const error = await rejection(linkTo({ url: `redis://127.0.0.1:${port}`, password: 's3cret' }).start());
    expect(error.message).toContain('it is older than 6.2');
    logger.error({ err: error }, 'start failed');
    expect(JSON.stringify(lines)).not.toContain('s3cret');
  });
});

describe('a user with the rules of the page', () => {
  it('can do all that a node does, and nothing that endangers others', async () => {
    const server = await startServer();
    const [rule = ''] = /^ACL SETUSER .*$/m.exec(pageText('plugins/cluster-redis/README.md')) ?? [];
    await server.command(...rule.split(' '));
    const config = { url: server.url, username: 'waggle', password: 'secret' };
    const [a, b] = [await startNode({ config }), await startNode({ config })];
    const heard: unknown[] = [];
    b.on('t', (body) => void heard.push(body));
    await eventually(() => expect(a.alive()).toHaveLength(2));
    expect(await a.send(b.nodeId, 't', 1)).toBe(true);
    let lost = 0;
    a.claim('client', () => void lost++);
    await eventually(async () => expect(await server.command('KEYS', 'w:c:*')).toHaveLength(1));
    b.claim('client', () => {});
    await eventually(() => expect(lost).toBe(1));
    const link = await started(config);
    const connection = await link.send('CLIENT', 'ID');
    for (const command of [
      ['FLUSHALL'],
      ['CONFIG', 'GET', '*'],
      ['KEYS', '*'],
      ['GET', 'other'],
      ['PUBLISH', 'other', 'x'],
    ])
      expect(await rejection(link.send(...command))).toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    expect(await link.send('CLIENT', 'ID')).toBe(connection);
    await server.command('ACL', 'SETUSER', 'waggle', '-info');
    expect(await rejection(startNode({ config }))).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      message: expect.stringContaining('its user may not do this'),
    });
  });
});

describe('TLS', () => {
  async function secureServer() {
    const folder = tempFolder();
    const authority = makeCertificate('authority');
    const own = makeCertificate('server', { issuer: authority });
    const client = makeCertificate('client', { issuer: authority });
    const [caFile, certFile, keyFile] = [
      folder.write('ca.pem', authority.cert),
      folder.write('client.pem', client.cert),
      folder.write('client.key', client.key),
    ];
    const port = await freePort();
    await startServer({
      config: [
        `tls-port ${port}`,
        `tls-cert-file ${folder.write('server.pem', own.cert)}`,
        `tls-key-file ${folder.write('server.key', own.key)}`,
        `tls-ca-cert-file ${caFile}`,
      ],
    });
    return { port, url: `rediss://127.0.0.1:${port}`, caFile, certFile, keyFile, folder };
  }

  it('connects with certificates of an authority of its own, on both sides', async () => {
    const { url, caFile, certFile, keyFile } = await secureServer();
    const node = await startNode({ config: { url, tls: { caFile, certFile, keyFile } } });
    expect(await node.send(node.nodeId, 't', 1)).toBe(true);
  });

  it('says what is wrong', async () => {
    const { url, port, caFile, certFile, keyFile, folder } = await secureServer();
    const why = async (config: Partial<RedisConfig>) =>
      (await rejection(linkTo(config, silentLogger, impatientTimes.link).start())).message;
    expect(await why({ url, tls: { certFile, keyFile } })).toContain(
      'an authority that is not known; set "tls.caFile"',
    );
    expect(await why({ url, tls: { caFile } })).toMatch(
      /set "tls.certFile" and "tls.keyFile"|the connection is lost|closed/,
    );
    expect(
      await why({ url: url.replace('127.0.0.1', 'localhost'), tls: { caFile, certFile, keyFile } }),
    ).toContain('its certificate is for another name; "tls.serverName" says which');
    expect(await why({ url, tls: { caFile: '/nowhere/ca.pem' } })).toContain(
      '"/nowhere/ca.pem" of its "tls" cannot be read (ENOENT)',
    );
    const plain = await startServer({ withPort: true });
    expect(await why({ url: `rediss://127.0.0.1:${plain.port}` })).toMatch(/it does not respond/);
    expect(await why({ url: `redis://127.0.0.1:${port}` })).toMatch(
      /connection is lost|closed the connection|does not respond/,
    );
    writeFileSync(join(folder.path, 'bad.pem'), 'x');
    expect(await why({ url, tls: { caFile: join(folder.path, 'bad.pem') } })).toMatch(
      /cannot use the engine/,
    );
  });
});

describe('a link', () => {
  it('fails at once while there is no connection, and with what was under way when it is lost', async () => {
    const server = await startServer();
    const link = await started({ url: server.url });
    const blocked = rejection(link.send('BLPOP', 'nothing', '0'));
    await eventually(async () => expect(await server.command('CLIENT', 'LIST')).toContain('cmd=blpop'));
    await server.signal('SIGKILL');
    expect(await blocked).toMatchObject({ code: 'ENGINE_UNAVAILABLE', details: { retryAfterMs: 1000 } });
    expect(await rejection(link.send('GET', 'x'))).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(
        /^the engine that the servers share is not available: .*; try again later$/,
      ),
    });
    expect(link.isUp).toBe(false);
    await server.run();
    await eventually(async () => expect(await link.send('GET', 'x')).toBeNull());
  });

  it('refuses more than it may hold while a server is slow, and is well again afterwards', async () => {
    const server = await startServer();
    const link = await started({ url: server.url });
    const sent = Array.from({ length: 12_000 }, () =>
      link.send('GET', 'x').then(
        () => 'done',
        (error) => error.code,
      ),
    );
    expect(await link.urgent('GET', 'x')).toBeNull();
    const results = await Promise.all(sent);
    expect(results.filter((each) => each === 'done')).toHaveLength(9000);
    expect(results.filter((each) => each === 'ENGINE_UNAVAILABLE')).toHaveLength(3000);
    expect(await link.send('GET', 'x')).toBeNull();
  });

  it('is not given up while a server answers slowly, and is when it says nothing', async () => {
    const server = await startServer({ withPort: true });
    const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
    later(() => proxy.close());
    const link = await started({ url: `redis://127.0.0.1:${proxy.port}` });
    proxy.delayMs = 100;
    for (let round = 0; round < 10; round++) await link.send('GET', 'x');
    expect(link.rttMs).toBeGreaterThan(190);
    expect(proxy.opened).toBe(1);
    const waiting = rejection(link.send('GET', 'x'));
    proxy.swallows = true;
    expect(await waiting).toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    proxy.mend();
    await eventually(() => expect(link.isUp).toBe(true));
  });

  it('is given up when a server says nothing, also with as much on its way as it may hold', async () => {
    const server = await startServer({ withPort: true });
    const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
    later(() => proxy.close());
    const link = await started({ url: `redis://127.0.0.1:${proxy.port}` });
    proxy.swallows = true;
    const sent = Array.from({ length: 12_000 }, () => rejection(link.send('GET', 'x')));
    await eventually(() => expect(link.isUp).toBe(false));
    for (const each of sent) expect(await each).toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
  });

  it('gives up a handshake that is not answered, and a name that leads nowhere', async () => {
    const server = await startServer({ withPort: true });
    const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
    later(() => proxy.close());
    proxy.swallows = true;
    const times = { ...impatientTimes.link, connectMs: 300 };
    const link = linkTo({ url: `redis://127.0.0.1:${proxy.port}` }, silentLogger, times);
    expect(await rejection(link.start())).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      message: expect.stringContaining('it does not respond'),
    });
  });

  it('waits a little for a server that starts later', async () => {
    const server = await startServer();
    await server.signal('SIGKILL');
    const { logger } = recordingLogger();
    const starting = linkTo({ url: server.url }, logger, { ...quickTimes.link, firstMs: 20_000 }).start();
    await server.run();
    await starting;
  });

  it('ends at once, also while it connects', async () => {
    const server = await startServer({ withPort: true });
    const proxy = await FaultProxy.start({ port: server.port, host: '127.0.0.1' });
    later(() => proxy.close());
    const link = linkTo({ url: `redis://127.0.0.1:${proxy.port}` }, silentLogger, {
      ...quickTimes.link,
      connectMs: 60_000,
    });
    await link.start();
    const { opened } = proxy;
    proxy.swallows = true;
    proxy.drop();
    await eventually(() => expect(proxy.opened).toBeGreaterThan(opened));
    await link.close();
  });

  it('moves on to another connection when the server has become a replica', async () => {
    const server = await startServer({ withPort: true });
    const link = await started({ url: server.url });
    const connection = await link.send('CLIENT', 'ID');
    await server.command('REPLICAOF', '127.0.0.1', '1');
    expect(await rejection(link.send('SET', 'x', '1'))).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('it is a replica'),
    });
    await server.command('REPLICAOF', 'NO', 'ONE');
    await eventually(async () => expect(await link.send('SET', 'x', '1')).toBe('OK'));
    expect(await link.send('CLIENT', 'ID')).not.toBe(connection);
  });

  it('says that memory is full, and keeps the connection', async () => {
    const server = await startServer();
    const link = await started({ url: server.url });
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await rejection(link.send('SET', 'x', '1'))).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('no memory left'),
    });
    expect(link.isUp).toBe(true);
  });

  it('passes a mistake of the caller on as it is', async () => {
    const server = await startServer();
    const link = await started({ url: server.url });
    await link.send('SET', 'x', '1');
    expect(await rejection(link.send('LPUSH', 'x', '1'))).toMatchObject({
      message: expect.stringMatching(/^WRONGTYPE/),
    });
  });

  it('sends a script by its hash, also after the server has forgotten it', async () => {
    const server = await startServer();
    const link = await started({ url: server.url });
    const script = new RedisScript('return { KEYS[1], ARGV[1] }');
    for (let round = 0; round < 3; round++) {
      expect(await link.run(script, ['k'], ['a'])).toEqual(['k', 'a']);
      await server.command('SCRIPT', 'FLUSH');
    }
    expect(link.commands.evalsha).toBe(3);
  });
});
