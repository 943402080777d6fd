import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { only, runWaggle, startServer } from '../support/server.js';
import { isThorough } from '../support/thorough.js';
import { WsClient } from '../support/ws-client.js';

const others = only('transport-uws');

/** A config that adds one plugin, `saboteur`, with this setup. */
const saboteur = (setup: string, entry: object = {}) => ({
  config: {
    server: { pluginTimeoutMs: 1000, drainTimeoutMs: 1000 },
    plugins: { saboteur: { use: './saboteur.js', ...entry } },
  },
  files: {
    'saboteur.js': `const transport = Symbol.for('waggle:transport');
export default { name: 'saboteur', apiVersion: 1, requires: { transport }, ${setup} };`,
  },
});

/** The same in a process of its own, which ends badly: there with nothing else. */
const alone = ({ config, files }: ReturnType<typeof saboteur>) => ({
  alone: true,
  // Here the time-out holds for the imports of a process that begins, too.
  config: {
    server: { ...config.server, pluginTimeoutMs: 2000 },
    plugins: { ...others, ...config.plugins },
  },
  files,
});

const route = (path: string, handler: string) => `setup(ctx, { transport }) {
  ctx.effect('route', () => transport.route({ method: 'GET', path: '${path}', handler: ${handler} }));
}`;

describe('a plugin that', () => {
  it.each([
    [
      'throws in setup',
      `setup() { throw new Error('boom'); }`,
      /plugin "saboteur" failed during setup: boom/,
    ],
    [
      'rejects in setup',
      `async setup() { throw new Error('boom'); }`,
      /plugin "saboteur" failed during setup: boom/,
    ],
    [
      'hangs in setup',
      'setup: () => new Promise(() => {})',
      /plugin "saboteur": setup timed out after 1000 ms/,
    ],
    [
      'throws when all is ready',
      `setup(ctx) { ctx.onReady(() => { throw new Error('boom'); }); }`,
      /plugin "saboteur" failed during ready: boom/,
    ],
    [
      'throws at import',
      `setup() {}, ...(() => { throw new Error('boom'); })()`,
      /plugin "saboteur" failed during import: boom/,
    ],
  ])('%s ends the start with 1, and everything is undone', async (_, setup, message) => {
    const run = await runWaggle('start', saboteur(setup));
    expect(await run.exited).toBe(1);
    expect(run.stderr).toMatch(message);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(run.logs.at(-1)).toMatchObject({ level: 'fatal' });
    expect(JSON.stringify(run.logs.at(-1))).toContain('saboteur');
    expect(run.logs.some((line) => line.msg === 'started')).toBe(false);
  });

  it.each([
    ['at once', 'ctx.bus.emit(name, event);'],
    ['by promises', 'void Promise.resolve().then(() => ctx.bus.emit(name, event));'],
    ['in turns of its own', 'setImmediate(() => ctx.bus.emit(name, event));'],
  ])('emits its own event from two listeners harms nobody, and SIGTERM works: %s', async (how, act) => {
    const server = await startServer(
      saboteur(`setup(ctx) {
        const [name, event] = ['saboteur:did', {}];
        for (const _ of [1, 2]) ctx.bus.on(name, () => { ${act} });
        ctx.onReady(() => ctx.bus.emit(name, event));
      }`),
    );
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
    const loops = server.logs.filter(({ event }) => event === 'saboteur:did');
    if (how !== 'in turns of its own') expect(loops).toHaveLength(1);
    for (const { err } of loops) expect(err).toMatchObject({ code: 'KERNEL_EVENT_LOOP', plugin: 'saboteur' });
  });

  it.each([
    ['throws in setup', `setup() { throw new Error('boom'); }`],
    ['hangs in setup', 'setup: () => new Promise(() => {})'],
    ['throws at import', `setup() {}, ...(() => { throw new Error('boom'); })()`],
  ])('%s and is optional leaves a server that works and says so', async (_, setup) => {
    const server = await startServer(saboteur(setup, { optional: true }));
    expect(server.logs.find((line) => line.msg === 'started')).toMatchObject({ state: 'degraded' });
    const ready = await fetch(`${server.url}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ reasons: ['plugin "saboteur" failed'] });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const client = await WsClient.connect(`${server.ws}/test`);
    expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    await client.close();
    expect(await server.stop()).toBe(0);
  });

  it('hangs in stop is left behind by name, and the process ends', async () => {
    const server = await startServer(
      alone(saboteur(`setup(ctx) { ctx.effect('a lock', () => () => new Promise(() => {})); }`)),
    );
    expect(await server.stop()).toBe(1);
    expect(server.logs.find((line) => line.msg === 'left something behind')).toMatchObject({
      plugin: 'saboteur',
      err: { message: expect.stringContaining('a lock') },
    });
    expect(server.logs.at(-1)?.msg).toBe('shutdown complete');
  });

  it('throws in stop is logged by name, and the others stop', async () => {
    const server = await startServer(
      alone(saboteur(`setup(ctx) { ctx.effect('a lock', () => () => { throw new Error('stuck'); }); }`)),
    );
    expect(await server.stop()).toBe(1);
    expect(server.logs.find((line) => line.msg === 'an undo failed')).toMatchObject({ plugin: 'saboteur' });
  });

  it('hangs in drain does not hold up the end', async () => {
    const server = await startServer(saboteur('setup(ctx) { ctx.onDrain(() => new Promise(() => {})); }'));
    expect(await server.stop()).toBe(0);
    expect(server.logs.some((line) => line.plugin === 'saboteur' && String(line.msg).includes('drain'))).toBe(
      true,
    );
  });

  const leaks: readonly (readonly [what: string, open: string, kind: string])[] = [
    ['a server', `net.createServer().listen(0, '127.0.0.1')`, 'TCPServerWrap'],
    [
      'a socket',
      `net.connect(Number(process.env.ELSEWHERE), '127.0.0.1').on('error', () => {})`,
      'TCPSocketWrap',
    ],
    ['a UDP socket', `dgram.createSocket('udp4').bind(0, '127.0.0.1')`, 'UDPWrap'],
    ['a child process', `child.spawn('sleep', ['30'])`, 'ProcessWrap'],
    ['a thread', `new threads.Worker('setInterval(() => {}, 1000)', { eval: true })`, 'Worker'],
    ['a watched folder', `fs.watch('.')`, 'FSEventWrap'],
  ];
  it.each<[what: string, left: typeof leaks]>(
    isThorough ? leaks.map((leak) => [leak[0], [leak]]) : [['one thing of each kind', leaks]],
  )('leaves %s behind is named in the log, and the stop does not end with 0', async (_, left) => {
    const elsewhere = createServer(() => {}).listen(0, '127.0.0.1');
    onTestFinished(() => void elsewhere.close());
    await once(elsewhere, 'listening');
    const { port } = elsewhere.address() as AddressInfo;
    const imported = `import net from 'node:net';
import dgram from 'node:dgram';
import child from 'node:child_process';
import threads from 'node:worker_threads';
import fs from 'node:fs';
`;
    const opened = `globalThis.left = [${left.map(([, open]) => open).join()}];`;
    for (const [setup, when] of [
      [`setup() { ${opened} }`, 'setup'],
      [`setup(ctx) { ctx.onReady(() => { ${opened} }); }`, 'ready'],
    ] as const) {
      const { files, ...rest } = alone(saboteur(setup));
      const server = await startServer({
        ...rest,
        files: { 'saboteur.js': `${imported}${files['saboteur.js']}` },
        env: { ELSEWHERE: String(port) },
      });
      expect(await server.stop(), when).toBe(1);
      const lines = server.logs.filter(({ msg }) => msg.startsWith('handles were left open'));
      for (const [, , kind] of left)
        expect(lines.find((line) => line.kind === kind)).toMatchObject({ plugins: ['saboteur'] });
      expect(server.logs.at(-1)).toMatchObject({ msg: 'shutdown complete', exitCode: 1 });
    }
  });

  it.each<[what: string, setup: string]>([
    ['hangs', `setup(ctx) { ctx.effect('socket x', () => () => new Promise(() => {})); }`],
    [
      'takes too long',
      `setup(ctx) {
      ctx.effect('socket x', () => () => new Promise((resolve) => setTimeout(resolve, 60_000)));
    }`,
    ],
    [
      'hangs when it failed to get ready',
      `setup(ctx) {
        ctx.effect('socket x', () => () => new Promise(() => {}));
        ctx.onReady(() => { throw new Error('no'); });
      }`,
    ],
  ])('whose undo %s is named in the log, and the stop does not end with 0', async (what, setup) => {
    const mayFail = what.includes('failed');
    const server = await startServer(alone(saboteur(setup, mayFail ? { optional: true } : {})));
    expect(await server.stop()).toBe(1);
    const named = server.logs.filter(({ level, plugin }) => level === 'error' && plugin === 'saboteur');
    expect(JSON.stringify(named)).toContain('socket x');
    expect(server.logs.at(-1)).toMatchObject({ msg: 'shutdown complete', exitCode: 1 });
  });

  it('is stopped while it starts, and whose undo hangs, does not end with 0 either', async () => {
    const run = await runWaggle(
      'start',
      alone(
        saboteur(`setup(ctx) {
        ctx.effect('socket x', () => () => new Promise(() => {}));
        ctx.logger.info('in setup');
        return new Promise(() => {});
      }`),
      ),
    );
    await run.untilLog(({ msg }) => msg === 'in setup');
    expect(await run.stop()).toBe(1);
    expect(run.logs.at(-1)).toMatchObject({ msg: 'shutdown complete', exitCode: 1 });
  });

  it('leaks a timer does not keep the process', async () => {
    const server = await startServer(alone(saboteur('setup() { setInterval(() => {}, 1000); }')));
    expect(await server.stop()).toBe(1);
    expect(
      server.logs.find((line) => line.msg === 'a plugin left timers running; use ctx.effect'),
    ).toMatchObject({
      plugin: 'saboteur',
    });
  });

  it.each([
    ['synchronously', `() => { throw new Error('boom'); }`],
    ['asynchronously', `async () => { await null; throw new Error('boom'); }`],
  ])(
    'throws in a handler %s is answered with 500, named in the log, and nothing else happens',
    async (_, handler) => {
      const server = await startServer(saboteur(route('/boom', handler)));
      const response = await fetch(`${server.url}/boom`);
      expect(response.status).toBe(500);
      const { error } = (await response.json()) as { error: Record<string, string> };
      expect(error).toMatchObject({ code: 'INTERNAL', requestId: response.headers.get('x-request-id') });
      expect(JSON.stringify(error)).not.toMatch(/boom|saboteur|\.js/);
      const logged = await server.untilLog((line) => line.requestId === error.requestId);
      expect(JSON.stringify(logged)).toContain('"plugin":"saboteur"');
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      expect(await server.stop()).toBe(0);
    },
  );

  it('throws in a timer ends the server as a crash: logged by name, drained, exit code 1', async () => {
    const server = await startServer(
      alone(
        saboteur(
          route(
            '/later',
            `(_, reply) => { setTimeout(() => { throw new Error('boom'); }); reply.json(200, {}); }`,
          ),
        ),
      ),
    );
    await fetch(`${server.url}/later`);
    expect(await server.exited).toBe(1);
    expect(server.logs.find((line) => line.level === 'fatal')).toMatchObject({ plugin: 'saboteur' });
    expect(server.logs.at(-1)?.msg).toBe('shutdown complete');
  });

  it('leaves a promise rejected ends the server in the same way', async () => {
    const server = await startServer(
      alone(
        saboteur(
          route('/later', `(_, reply) => { Promise.reject(new Error('boom')); reply.json(200, {}); }`),
        ),
      ),
    );
    await fetch(`${server.url}/later`);
    expect(await server.exited).toBe(1);
    expect(server.logs.find((line) => line.level === 'fatal')).toMatchObject({ plugin: 'saboteur' });
  });

  it('fails in an event listener hurts nobody', async () => {
    const server = await startServer(
      saboteur(`setup(ctx) {
        ctx.bus.on('chat:started', () => { throw new Error('boom'); });
        ctx.bus.on('chat:finished', async () => { throw new Error('boom'); });
      }`),
    );
    const client = await WsClient.connect(`${server.ws}/test`);
    expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    await client.close();
    for (const event of ['chat:started', 'chat:finished']) {
      const logged = await server.untilLog((line) => line.event === event);
      expect(JSON.stringify(logged)).toContain('"plugin":"saboteur"');
    }
    expect(await server.stop()).toBe(0);
  });

  it.each([
    ['yields nonsense', 'async *generateResponseStream() { yield 1; }', 'AGENT_PROTOCOL'],
    ['throws', `async *generateResponseStream() { throw new Error('/etc/secret'); }`, 'AGENT_FAILED'],
    [
      'never ends properly',
      `async *generateResponseStream() { yield { type: 'text', content: 'x' }; }`,
      'AGENT_DISCONNECTED',
    ],
    ['is no generator at all', 'generateResponseStream() { return 5; }', 'AGENT_FAILED'],
  ])('adds an agent that %s gives its clients an error, and only them', async (_, method, code) => {
    const server = await startServer(saboteur(`setup(ctx) { ctx.addAgent({ name: 'bad', ${method} }); }`));
    const client = await WsClient.connect(`${server.ws}/test`);
    const frames = await client.ask({ content: 'Hallo', agent: 'bad' });
    expect(frames.at(-1)).toMatchObject({ type: 'error', code });
    expect(JSON.stringify(frames)).not.toContain('secret');
    expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    await client.close();
    expect(await server.stop()).toBe(0);
  });
});
