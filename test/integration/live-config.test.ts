import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { callControl } from '../../kernel/host/live/control-call.js';
import { type ControlSocket, socketsOf } from '../../kernel/host/live/runtime-folder.js';
import { freePort } from '../support/free-port.js';
import { type TempFolder, tempFolder } from '../support/kernel.js';
import { type LogLine, only, type RunningServer, runWaggle, startServer } from '../support/server.js';
import { isThorough, times } from '../support/thorough.js';
import { textOf, WsClient } from '../support/ws-client.js';

/** Counts until there is a file `stop` beside it, or up to `words`. Each version says its label. */
const counter = `
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
const stop = new URL('stop', import.meta.url);
let isStopped = false;
export default {
  name: 'agent-counter',
  apiVersion: 1,
  setup(ctx) {
    const { words = Infinity, delayMs = 500, label = 'n' } = ctx.config ?? {};
    ctx.every('stop', 50, () => {
      isStopped = existsSync(stop);
    });
    ctx.addAgent({
      name: 'counter',
      async *generateResponseStream(request, { signal }) {
        for (let n = 0; n < words && !isStopped; n++) {
          yield { type: 'text', content: label + n + ' ' };
          await sleep(delayMs, undefined, { signal });
        }
        yield { type: 'text', content: 'end' };
        yield { type: 'done', reason: 'stop' };
      },
    });
  },
};`;
const failing = `export default { name: 'task-failing', apiVersion: 1, setup() { throw new Error('not today'); } };`;

interface Plugins {
  readonly [id: string]: object;
}
const parts = [
  ...['transport-uws', 'tasks-tinypool', 'store-memory', 'agent-eliza', 'agent-queen', 'limits-memory'],
  ...[
    'streams-memory',
    'endpoint-ws',
    'endpoint-chat',
    'endpoint-health',
    'endpoint-docs',
    'endpoint-overview',
  ],
];
const base: Plugins = {
  ...only(...parts),
  'agent-counter': { use: './counter.mjs' },
  'agent-queen': { config: { candidates: ['counter'], healthTtlMs: 60_000 } },
  'endpoint-ws': { config: { maxStreamsPerConnection: 64 } },
  'transport-uws': { config: { port: 0, host: '127.0.0.1' } },
};

/** A server whose config file is changed while it runs. */
class Changing {
  readonly folder: TempFolder;
  readonly file: string;
  server!: RunningServer;

  constructor() {
    this.folder = tempFolder();
    this.folder.write('counter.mjs', counter);
    this.folder.write('failing.mjs', failing);
    this.file = this.folder.write('my.yaml', stringify({ plugins: base }));
  }

  async start(...args: readonly string[]): Promise<void> {
    this.server = await startServer({ args: ['--config', this.file, ...args] });
  }

  /** Starts one in a process of its own, which a test may kill. */
  async startAlone(): Promise<void> {
    this.server = await startServer({ args: ['--config', this.file], alone: true });
  }

  write(plugins: Plugins, server: object = {}): void {
    this.writeText(stringify({ server, plugins: { ...base, ...plugins } }));
  }

  writeText(text: string): void {
    writeFileSync(this.file, text);
  }

  async command(name: 'plan' | 'apply') {
    const [socket] = socketsOf({ config: this.file });
    const answer = socket && (await callControl(socket, name));
    if (!answer) throw new Error('no server answers');
    return {
      code: answer.code,
      lines: answer.text
        .trim()
        .split('\n')
        .map((line) => line.replace(/ +/g, ' ')),
    };
  }
}

const nothing = { code: 0, lines: ['Nothing has changed.'] };

describe('a changed config of a running server', () => {
  // Each of the changes, and each of the broken ones, at least once.
  const [each, changes] = isThorough ? [50, 50] : [10, 25];
  it(`loses no character and closes no socket: ${20 * each} streams, ${changes} changes, and broken ones`, async () => {
    const changing = new Changing();
    await changing.start();
    const { server } = changing;
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, n) => WsClient.connect(`${server.ws}/live-${n}`)),
    );
    for (const client of clients)
      for (let n = 0; n < each; n++)
        client.send({ type: 'stream_request', content: 'x', requestId: String(n) });
    await Promise.all(clients.map((client) => client.until((frame) => frame.type === 'streaming_token')));

    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port: taken } = other.address() as AddressInfo;
    const free = await freePort();
    const good: readonly ((n: number) => Plugins)[] = [
      (n) => ({ 'agent-queen': { config: { candidates: ['counter', 'eliza'], systemPrompt: `Be ${n}` } } }),
      (n) => ({ 'agent-counter': { use: './counter.mjs', config: { label: `v${n}-` } } }),
      (n) => ({ 'agent-eliza': { config: { wordDelayMs: n + 1 } } }),
      (n) => ({ 'limits-memory': { config: { limits: { requestsPerMinute: 1000 + n } } } }),
      (n) => ({ 'tasks-tinypool': { config: { queueLimit: 1000 + n, mainConcurrency: 4000 + n } } }),
      (n) => ({ 'streams-memory': { config: { maxRunning: 2000 + n, keepMs: 60_000 + n } } }),
      (n) => ({ 'endpoint-ws': { config: { maxStreamsPerConnection: 64 + n } } }),
      (n) => ({ 'transport-uws': { config: { port: 0, host: '127.0.0.1', maxConnections: 1000 + n } } }),
      () => ({ 'transport-uws': { config: { port: free, host: '127.0.0.1' } } }),
      (n) => ({ 'endpoint-chat': { config: { heartbeatMs: 10_000 + n } } }),
      (n) => ({ 'endpoint-docs': { enabled: n % 2 === 0 } }),
      (n) => ({ 'store-memory': { config: { maxMessages: 1000 + n } } }),
    ];
    const broken: readonly string[] = [
      'plugins: [',
      stringify({ plugins: { ...base, 'agent-queen': { config: { sytemPrompt: 'x' } } } }),
      stringify({ plugins: { ...base, nowhere: { use: './nowhere.mjs' } } }),
      stringify({
        plugins: {
          ...base,
          'agent-counter': { use: './counter.mjs', config: { label: 'lost' } },
          'agent-queen': { config: { candidates: ['counter'], systemPrompt: 'lost' } },
          'task-failing': { use: './failing.mjs' },
        },
      }),
      stringify({ plugins: { ...base, 'transport-uws': { config: { port: taken, host: '127.0.0.1' } } } }),
    ];
    for (let n = 0; n < changes; n++) {
      const plugins = (good[n % good.length] as (typeof good)[number])(n);
      changing.write(plugins);
      expect((await changing.command('apply')).code).toBe(0);
      if (n % 5 !== 4) continue;
      expect(await changing.command('plan')).toEqual(nothing);
      const before = readFileSync(changing.file, 'utf8');
      changing.writeText(broken[((n - 4) / 5) % broken.length] as string);
      expect((await changing.command('apply')).code).toBeGreaterThan(0);
      changing.writeText(before);
      expect(await changing.command('plan')).toEqual(nothing);
    }

    other.close();
    changing.folder.write('stop', '');
    for (const client of clients) {
      await client.until(() => client.frames.filter(({ type }) => type === 'streaming_end').length === each);
      const texts = new Map<string | undefined, string>();
      for (const frame of client.frames)
        texts.set(frame.streamId, (texts.get(frame.streamId) ?? '') + textOf([frame]));
      expect(client.frames.filter(({ type }) => type === 'streaming_end')).toHaveLength(each);
      for (const text of texts.values()) {
        const words = text.split(' ');
        expect(words.length).toBeGreaterThan(1);
        expect(text).toBe([...words.slice(1).map((_, n) => `n${n} `), 'end'].join(''));
      }
      await client.close();
    }
    expect(await server.stop()).toBe(0);
  });

  it('restarts nothing for another module that was only planned, or refused', async () => {
    const changing = new Changing();
    const stored = {
      'store-memory': { use: 'store-sqlite', config: { path: join(changing.folder.path, 'c.sqlite') } },
    };
    changing.write(stored);
    await changing.start();
    changing.write({});
    expect((await changing.command('plan')).lines).toContainEqual(
      expect.stringContaining('restart store-memory'),
    );
    for (const broken of [
      'plugins: [',
      stringify({ plugins: { ...base, nowhere: { use: './nowhere.mjs' } } }),
    ]) {
      changing.writeText(broken);
      expect((await changing.command('apply')).code).toBe(78);
      changing.write(stored);
      expect(await changing.command('plan')).toEqual(nothing);
    }
    await changing.server.stop();
  });

  it('leaves nothing behind after many', async () => {
    const changing = new Changing();
    await changing.start();
    const { server } = changing;
    const client = await WsClient.connect(`${server.ws}/flat`);
    const count = (what: string) => readdirSync(`/proc/${server.pid}/${what}`).length;
    const rssMb = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024;
    const change = async (n: number) => {
      changing.write({
        'agent-counter': { use: './counter.mjs', config: { words: 2, delayMs: 1, label: `v${n}-` } },
        'agent-queen': { config: { candidates: ['counter'], systemPrompt: String(n) } },
        'endpoint-health': { enabled: n % 2 === 0 },
        'endpoint-chat': { config: { heartbeatMs: 10_000 + n } },
      });
      expect((await changing.command('apply')).code).toBe(0);
      if (n % 20 === 0) expect(textOf(await client.ask({ content: 'x' }))).toBe(`v${n}-0 v${n}-1 end`);
    };
    const few = times(40);
    for (let n = 0; n < few; n++) await change(n);
    const before = { fd: count('fd'), task: count('task'), rssMb: rssMb() };
    for (let n = few; n < 6 * few; n++) await change(n);
    // The last connection of a command takes a moment to close.
    await expect.poll(() => count('fd'), { timeout: 10_000 }).toBeLessThanOrEqual(before.fd);
    expect(count('task')).toBeLessThanOrEqual(before.task);
    expect(rssMb()).toBeLessThan(before.rssMb + 100);
    await client.close();
    expect(await server.stop()).toBe(0);
  });
});

describe('waggle plan and waggle apply', () => {
  async function waggle(changing: Changing, command: string, ...args: readonly string[]) {
    const run = await runWaggle(command, { args: ['--config', changing.file, ...args] });
    const code = await run.exited;
    return {
      code,
      lines: (run.stdout + run.stderr)
        .trim()
        .split('\n')
        .map((line) => line.replace(/ +/g, ' ')),
    };
  }

  it('say what becomes of running work, and then do it', async () => {
    const changing = new Changing();
    await changing.start();
    const { server } = changing;
    const client = await WsClient.connect(`${server.ws}/plan`);
    client.send({ type: 'stream_request', content: 'x' });
    await client.until(({ type }) => type === 'streaming_token');
    expect(await waggle(changing, 'plan')).toEqual(nothing);
    changing.write(
      {
        'agent-counter': { use: './counter.mjs', config: { label: 'new' } },
        'agent-queen': { config: { candidates: ['counter'], healthTtlMs: 60_000, maxSteps: 3 } },
        'endpoint-docs': { enabled: false },
        'endpoint-health': { optional: true },
        'transport-uws': { config: { port: 0, host: '127.0.0.1', idleTimeoutS: 41 } },
      },
      { logLevels: { 'agent-queen': 'debug' }, drainTimeoutMs: 9999 },
    );
    const lines = [
      'stop endpoint-docs',
      'restart transport-uws idleTimeoutS; 1 connection ends',
      'update agent-queen maxSteps',
      'restart endpoint-overview',
      'restart endpoint-health',
      'restart endpoint-chat',
      'restart endpoint-ws 1 connection ends',
      'replace agent-counter label; 1 running reply goes on with the former settings',
      'update server.logLevels',
      'later server.drainTimeoutMs takes effect when the server is started again',
    ];
    expect(await waggle(changing, 'plan')).toEqual({ code: 0, lines });
    expect(await waggle(changing, 'apply')).toEqual({ code: 0, lines });
    expect(await waggle(changing, 'plan')).toEqual({ code: 0, lines: lines.slice(-1) });
    const { port } = server.logs.findLast(({ msg }) => msg === 'listening') as LogLine;
    expect((await fetch(`http://127.0.0.1:${port}/docs`)).status).toBe(404);
    changing.write({ 'streams-memory': { enabled: false } });
    const { lines: issues } = await waggle(changing, 'apply');
    expect(issues.join()).toContain('"endpoint-ws" requires chat.streams, which no plugin provides');
    changing.folder.write('stop', '');
    await client.close();
    expect(await server.stop()).toBe(0);
  });

  it('find no server that has ended or was killed, and say so', async () => {
    const changing = new Changing();
    await changing.startAlone();
    await changing.server.stop('SIGKILL');
    expect((await waggle(changing, 'apply')).lines).toEqual([
      'waggle: no server of this configuration is running',
    ]);
    await changing.startAlone();
    const [socket] = socketsOf({ config: changing.file }) as readonly [ControlSocket];
    // Another process has its number. Renamed at once: any server that starts removes what the dead have left.
    const stale = socket.path.replace(/-\d+\.sock$/, `-${process.pid}.sock`);
    renameSync(socket.path, stale);
    await changing.server.stop('SIGKILL');
    const { code, lines } = await waggle(changing, 'plan');
    expect(code).toBe(0);
    expect(lines[0]).toBe('No server of this configuration is running. A start would start:');
    expect(lines).toContain('start agent-queen');
    expect(existsSync(stale)).toBe(false);
    await changing.start();
    expect(await changing.command('plan')).toEqual(nothing);
    expect(await changing.server.stop()).toBe(0);
  });

  it('ask which one where two servers have one config', async () => {
    const changing = new Changing();
    await changing.start();
    const first = changing.server;
    await changing.start();
    const { code, lines } = await waggle(changing, 'plan');
    expect(code).toBe(1);
    expect(lines[0]).toMatch(/several servers run with this configuration; choose one with --pid/);
    expect(await waggle(changing, 'plan', '--pid', String(first.pid))).toEqual(nothing);
    expect(await first.stop()).toBe(0);
    expect(await waggle(changing, 'plan')).toEqual(nothing);
    expect(await changing.server.stop()).toBe(0);
  });
});

describe('a server whose config file changes', () => {
  const applied = { msg: 'the config was applied' };
  it.each<[string, readonly string[], object]>([
    ['with --watch', ['--watch'], {}],
    ['with server.reload', [], { reload: true }],
    ['in development', ['--profile', 'development'], {}],
  ])('applies it, and keeps the good one when it breaks: %s', async (_, args, settings) => {
    const changing = new Changing();
    changing.write({}, settings);
    await changing.start(...args);
    const { server } = changing;
    changing.write({ 'endpoint-docs': { enabled: false } }, settings);
    await server.untilLog(({ msg }) => msg === applied.msg);
    expect((await fetch(`${server.url}/docs`)).status).toBe(404);
    changing.writeText('plugins: [');
    await server.untilLog(({ msg }) => msg === 'the config was not applied; the server goes on as it was');
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });

  it('applies it on SIGHUP, with an .env file, and the plugins whose files have changed', async () => {
    const changing = new Changing();
    await changing.start();
    const { server } = changing;
    const client = await WsClient.connect(`${server.ws}/hup`);
    changing.folder.write('.env', 'WAGGLE__agent_counter__words=1\n');
    changing.folder.write('counter.mjs', counter.replace("label = 'n'", "label = 'changed'"));
    server.signal('SIGHUP');
    const { change } = await server.untilLog(({ msg }) => msg === applied.msg);
    expect(change).toEqual([expect.stringMatching(/^replace +agent-counter/)]);
    expect(textOf(await client.ask({ content: 'x' }))).toBe('changed0 end');
    await client.close();
    expect(await server.stop()).toBe(0);
  });
});
