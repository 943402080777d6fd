import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { callControl } from '../../kernel/host/live/control-call.js';
import type { ControlCommand } from '../../kernel/host/live/control-socket.js';
import { socketsOf } from '../../kernel/host/live/runtime-folder.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { tempFolder } from '../support/kernel.js';
import { example } from '../support/pages.js';
import { Scrape } from '../support/prometheus.js';
import type { RedisServer } from '../support/redis-server.js';
import { type RunningServer, runWaggle, startServer } from '../support/server.js';
import {
  mark,
  ShardedServer,
  type ShardOptions,
  shardCommand,
  shardConfig,
  untilGone,
} from '../support/shards.js';
import { type Frame, textOf } from '../support/ws-client.js';
import { later, redisForEach } from './node.js';

let redis: RedisServer;
redisForEach((server) => {
  redis = server;
});

async function start(options: Omit<ShardOptions, 'redis'>): Promise<ShardedServer> {
  const server = await ShardedServer.start({ redis: redis.url, ...options });
  later(() => server.end());
  return server;
}

/** An answer that is read in the middle, and one that ends only when it is cancelled. */
const content = '100';
const endless = '1000000';
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const typeOfLast = (frames: readonly Frame[]) => frames.at(-1)?.type;

/** The status of a request on a connection of its own; undefined where it is refused. */
function status(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    }).on('error', () => resolve(undefined));
  });
}

for (const [transport, count] of [
  ['uws', 3],
  ['node', 2],
] as const)
  describe(`${count} shards over transport-${transport}`, () => {
    it('are one server: for connections, answers, the loss of one, and a stop', async () => {
      const server = await start({ transport, count, server: { drainTimeoutMs: 60_000 } });
      const come = numbers(count).fill(0);
      for (const { shard } of await Promise.all(numbers(80).map(() => server.connect())))
        come[shard] = (come[shard] ?? 0) + 1;
      // Linux throws dice; the supervisor prefers those that are not busy.
      expect(Math.min(...come)).toBeGreaterThan(transport === 'uws' ? 80 / count / 4 : 0);

      const [here, there] = [await server.connectTo(0), await server.connectTo(count - 1)];
      here.send({ type: 'stream_request', content, requestId: 'q' });
      const { streamId } = await here.until(({ type }) => type === 'streaming_token');
      there.send({ type: 'resume', streamId, position: 0 });
      for (const each of [here, there])
        expect((await each.until(({ type }) => type === 'streaming_end')).streamId).toBe(streamId);
      expect(textOf(there.frames)).toBe(textOf(here.frames));
      expect(textOf(here.frames)).not.toBe('');
      here.send({ type: 'stream_request', content: endless, requestId: 'q2' });
      const second = await here.until(
        ({ type, requestId }) => type === 'streaming_start' && requestId === 'q2',
      );
      there.send({ type: 'cancel', streamId: second.streamId });
      for (const each of [here, there])
        expect((await each.until(({ type }) => type === 'cancelled')).streamId).toBe(second.streamId);

      const untouched = there.ask({ content });
      await there.until(({ type, streamId: id }) => type === 'streaming_token' && id !== streamId);
      process.kill(await server.pidOf(0), 'SIGKILL');
      await here.closed;
      expect(typeOfLast(await untouched)).toBe('streaming_end');
      await server.pidOf(0, 2);

      const clients = [await server.connectTo(0), there];
      const answers = clients.map((client) => client.ask({ content }));
      const waiting = [await server.connectTo(0), await server.connectTo(count - 1)];
      for (const client of waiting) {
        client.send({ type: 'stream_request', content: endless });
        await client.until(({ type }) => type === 'streaming_token');
      }
      server.server.signal('SIGTERM');
      await Promise.all(clients.map((each) => each.until(({ type }) => type === 'server_draining')));
      await eventually(async () => expect(await status(`${server.server.url}/health`)).toBeUndefined());
      expect((await Promise.all(answers)).map(typeOfLast)).toEqual(['streaming_end', 'streaming_end']);
      // They have kept their processes until now.
      for (const client of waiting) {
        const { streamId } = await client.until(({ type }) => type === 'streaming_start');
        client.send({ type: 'cancel', streamId });
        expect(await client.until(({ type }) => type === 'cancelled')).toMatchObject({ reason: 'client' });
      }
      const closes = await Promise.all(clients.map(({ closed }) => closed));
      expect(closes.map(({ code }) => code)).toEqual([1001, 1001]);
      expect(await server.server.exited).toBe(0);
      for (const index of numbers(count)) await untilGone(await server.pidOf(index, index === 0 ? 2 : 1));
      expect(server.server.stderr).toBe('');
    });

    it('keep other servers from their port, and find those that have it', async () => {
      const server = await start({ transport, count: 2 });
      const env = { PORT: String(server.server.port) };
      const refused = async (of: number) => {
        const other = await runWaggle('start', shardCommand({ transport, count: of, redis: redis.url, env }));
        expect(await other.exited).toBe(1);
        expect(other.stderr).toMatch(/cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE/);
      };
      for (const of of [1, 2]) await refused(of);
      expect(await status(`${server.server.url}/health`)).toBe(200);
      await server.stop();

      const single = await startServer(shardCommand({ transport, count: 1, redis: redis.url, env }));
      later(() => single.stop('SIGKILL'));
      await refused(2);
      expect(await single.stop()).toBe(0);
    });
  });

describe('a supervisor', () => {
  it('that starts at the same time as another one, on one port, is alone in the end', async () => {
    const env = { PORT: String(await freePort()) };
    const command = { config: example('shards.yaml'), env: { REDIS_URL: redis.url, ...env }, alone: true };
    const both = await Promise.allSettled([startServer(command), startServer(command)]);
    const started = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    for (const each of started) later(() => each.stop('SIGKILL'));
    expect(started).toHaveLength(1);
    for (const each of started) await (await ShardedServer.of(each)).stop();
  });

  it.each(['uws', 'node'] as const)(
    'that is killed leaves nobody behind: its shards end as after SIGTERM, over %s',
    async (transport) => {
      const server = await start({ transport, count: 2 });
      const clients = [await server.connectTo(0), await server.connectTo(1)];
      const pids = [await server.pidOf(0), await server.pidOf(1)];
      const answers = clients.map((client) => client.ask({ content }));
      await Promise.all(clients.map((client) => client.until(({ type }) => type === 'streaming_token')));
      server.server.signal('SIGKILL');
      expect((await Promise.all(answers)).map(typeOfLast)).toEqual(['streaming_end', 'streaming_end']);
      for (const pid of pids) await untilGone(pid);
      await server.server.exited;
      const last = server.server.logs.filter(({ msg }) => msg === 'shutdown complete');
      expect(last.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    },
  );

  it('starts one that crashes again and again later each time, and ends all the same', async () => {
    const plugins = { mark: { use: './mark.mjs', config: { crashing: 1 } } };
    const server = await startServer(shardCommand({ count: 2, redis: redis.url, plugins }));
    later(() => server.stop('SIGKILL'));
    const ends = () => server.logs.filter(({ msg }) => msg.startsWith('a shard has ended'));
    await server.untilLog(() => ends().length === 3);
    const waits = ends().map(({ restartInMs }) => restartInMs as number);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(ends().every(({ shard, signal }) => shard === 1 && signal === 'SIGKILL')).toBe(true);
    expect(await status(`${server.url}/health`)).toBe(200);
    // The one that was about to start may say that it has left something.
    expect(await server.stop()).toBeTypeOf('number');
  });

  it('kills shards that do not end in time, and says so', async () => {
    const server = await start({
      ...{ count: 2, server: { drainTimeoutMs: 0, pluginTimeoutMs: 3000 } },
      plugins: { mark: { use: './mark.mjs', config: { stuck: true } } },
    });
    expect(await server.server.stop()).toBe(1);
    const said = server.server.logs.find(({ msg }) => msg.startsWith('shards did not end'));
    expect(said).toMatchObject({ shards: [0, 1] });
  });

  it('takes a signal that reaches all of its processes for one, and ends all at once at the next', async () => {
    const server = await start({ count: 2 });
    const pids = [await server.pidOf(0), await server.pidOf(1)];
    const client = await server.connectTo(1);
    client.send({ type: 'stream_request', content: endless });
    await client.until(({ type }) => type === 'streaming_token');
    // As at a terminal.
    for (const pid of [server.server.pid, ...pids]) process.kill(pid, 'SIGINT');
    await client.until(({ type }) => type === 'server_draining');
    const { length } = client.frames;
    await client.until((frame) => frame.type === 'streaming_token' && client.frames.indexOf(frame) > length);
    expect(await server.server.stop()).toBe(130);
    for (const pid of pids) await untilGone(pid);
  });

  it('stops its first shard also where that does not listen to it yet', async () => {
    const server = await runWaggle('start', shardCommand({ count: 2, redis: redis.url }));
    await server.untilLog(({ msg }) => msg === 'starting shards');
    expect(await server.stop()).toBe(0);
    expect(server.logs.filter(({ msg }) => msg === 'listening')).toEqual([]);
  });

  it('refuses plugins that keep to one process what all need, and names each once', async () => {
    const plugins = { 'store-memory': { use: 'store-memory' }, 'tasks-tinypool': { use: 'tasks-tinypool' } };
    const refused = await runWaggle('start', shardCommand({ count: 2, redis: redis.url, plugins }));
    expect(await refused.exited).toBe(78);
    const line = (id: string, what: string, remedy: string) =>
      `test.yaml: server.shards: 2 processes cannot share the ${what} of "${id}": use ${remedy} in its place, as config/cluster.yaml does, or one process`;
    expect(refused.stderr.trim().split('\n').sort()).toEqual([
      line('store-memory', 'conversations', 'store-redis'),
      line('tasks-tinypool', 'tasks', 'tasks-bullmq'),
    ]);
    const one = await runWaggle('check', shardCommand({ count: 1, redis: redis.url, plugins }));
    expect(await one.exited).toBe(0);
  });
});

describe('the config of shards', () => {
  const limit = (maxConnections: number) => ({ 'transport-uws': { config: { maxConnections } } });
  const write = (file: string, plugins: ShardOptions['plugins'], count = 2) =>
    writeFileSync(file, stringify(shardConfig({ count, plugins: plugins ?? {} })));

  async function send(file: string, name: ControlCommand) {
    const sockets = socketsOf({ config: file });
    expect(sockets).toHaveLength(1);
    const [socket] = sockets;
    return socket && callControl(socket, name);
  }

  async function changing(): Promise<{ readonly file: string; readonly server: RunningServer }> {
    const folder = tempFolder();
    folder.write('mark.mjs', mark);
    const file = folder.write('my.yaml', '');
    write(file, limit(500));
    const { config: _, ...command } = shardCommand({ count: 2, redis: redis.url });
    const server = await startServer({ ...command, args: ['--config', file] });
    later(() => server.stop('SIGKILL'));
    await server.untilLog(({ msg, shard }) => msg === 'a shard has started' && shard === 1);
    return { file, server };
  }

  it('is applied to all by one command or signal, or to none; a bad one ends all where one finds it', async () => {
    const { file, server } = await changing();
    expect(await send(file, 'plan')).toEqual({ code: 0, text: 'Nothing has changed.\n' });
    const limits = async () => (await Scrape.of(server.url)).value('waggle_connections_limit');
    write(file, limit(600));
    expect(await send(file, 'apply')).toMatchObject({
      code: 0,
      text: expect.stringMatching(/^update {2}transport/),
    });
    expect(await limits()).toBe(1200);
    write(file, limit(700), 1);
    server.signal('SIGHUP');
    await eventually(async () => expect(await limits()).toBe(1400));
    const port = await freePort();
    write(file, { 'transport-uws': { config: { maxConnections: 700, port } } });
    expect(await send(file, 'apply')).toMatchObject({ code: 0 });
    for (let n = 0; n < 10; n++) expect(await status(`http://127.0.0.1:${port}/health`)).toBe(200);
    expect(await status(`${server.url}/health`)).toBeUndefined();
    // However many a next start would have: these are two.
    write(file, { 'store-memory': { use: 'store-memory' } }, 1);
    expect(await send(file, 'apply')).toMatchObject({
      code: 78,
      text: expect.stringContaining('store-redis'),
    });
    write(file, { 'agent-queen': { config: { candidates: 7 } } });
    const started = server.logs.filter(({ msg }) => msg === 'a shard has started');
    process.kill(started[1]?.pid as number, 'SIGKILL');
    expect(await server.exited).toBe(78);
    expect(server.stderr).toMatch(/^my\.yaml: agent-queen\.candidates: /);
  });
});

describe('the figures of shards', () => {
  interface Shown {
    readonly connections: { readonly open: number };
    readonly streams: { readonly replies: readonly { readonly number: number; readonly state: string }[] };
    readonly shards: readonly { readonly shard: number; readonly stats?: object; readonly server?: object }[];
  }

  it('are those of all, by any of them; one that does not answer is left out, and named', async () => {
    const server = await start({ count: 2 });
    const { url } = server.server;
    const shown = async (path: string) => (await (await fetch(`${url}${path}`)).json()) as Shown;
    const clients = [await server.connectTo(0), await server.connectTo(1), await server.connectTo(1)];
    for (const client of clients) client.send({ type: 'stream_request', content: endless });
    await Promise.all(clients.map((client) => client.until(({ type }) => type === 'streaming_token')));
    const scrape = await Scrape.of(url);
    const open = scrape.value('waggle_connections');
    expect(open).toBeGreaterThanOrEqual(3);
    expect(scrape.value('waggle_streams_running', { shard: '1' })).toBe(2);
    expect(scrape.text.match(/^# HELP waggle_connections /gm)).toHaveLength(1);
    expect(await shown('/stats')).toMatchObject({
      ...{ connections: { open }, streams: { running: 3 } },
      shards: [
        { shard: 0, stats: { streams: { running: 1 } } },
        { shard: 1, stats: { streams: { running: 2 } } },
      ],
    });

    const state = await shown('/ui/state');
    expect(state).toMatchObject({ connections: { open }, shards: [{ shard: 0 }, { shard: 1 }] });
    const replies = state.streams.replies.map(({ number }) => number);
    expect(new Set(replies).size).toBe(3);
    for (const number of replies)
      expect(await (await fetch(`${url}/ui/replies/${number}`, { method: 'DELETE' })).json()).toMatchObject({
        cancelled: true,
      });
    for (const client of clients) await client.until(({ type }) => type === 'cancelled');
    expect((await fetch(`${url}/ui/replies/999`, { method: 'DELETE' })).status).toBe(404);

    const pid = await server.pidOf(1);
    process.kill(pid, 'SIGSTOP');
    // The system gives some of the connections to the one that sleeps.
    const answers = numbers(30).map(() => textAt(`${url}/metrics`));
    const metrics = await Promise.any(answers).finally(() => process.kill(pid, 'SIGCONT'));
    expect(metrics).toContain('waggle_shard_up{shard="0"} 1\nwaggle_shard_up{shard="1"} 0\n');
    expect(metrics).toContain('waggle_streams_running{shard="0"} 0\n');
    expect(metrics).not.toContain('waggle_streams_running{shard="1"}');
    await Promise.all(answers);
    await server.stop();
  });
});

/** The body of a response on a connection of its own. */
function textAt(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, async (response) => {
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part;
      resolve(text);
    }).on('error', reject);
  });
}
