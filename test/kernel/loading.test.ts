import { setFlagsFromString } from 'node:v8';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { PluginContext } from '../../kernel/contracts/plugin-context.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Plugin } from '../../kernel/plugin.js';
import { createToken } from '../../kernel/services.js';
import {
  deferred,
  kernelWith,
  never,
  plugin,
  recordingLogger,
  rejection,
  startKernel,
} from '../support/kernel.js';
import { leakCheck } from '../support/leaks.js';
import { times } from '../support/thorough.js';

const token = (id: string) => createToken<string>(`loading.${id}`);

/** Provides a service under its own name; `done` hears of its setup, its readiness and its end. */
function part(
  name: string,
  uses: readonly string[],
  done: string[],
  overrides: Partial<Plugin> = {},
): Plugin {
  return plugin(name, {
    requires: Object.fromEntries(uses.map((use) => [use, token(use)])),
    provides: [token(name)],
    setup(ctx) {
      done.push(`+${name}`);
      ctx.effect('mark', () => () => void done.push(`-${name}`));
      ctx.provide(token(name), name);
      ctx.onReady(() => void done.push(`!${name}`));
    },
    ...overrides,
  });
}

const boom = plugin('boom', {
  setup(ctx) {
    ctx.effect('half', () => () => {});
    throw new Error('boom');
  },
});

function states(kernel: Kernel): Record<string, string> {
  return Object.fromEntries(kernel.inspect().plugins.map(({ id, state }) => [id, state]));
}

describe('loading into a running kernel', () => {
  it('sets a plugin up and calls it ready; it is stopped with the others', async () => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done)]);
    const seen: unknown[] = [];
    const late = part('b', ['a'], done, { optional: { later: token('nobody') } });
    await kernel.load({
      ...late,
      setup(ctx, services) {
        seen.push(ctx.config, services);
        return late.setup(ctx, services);
      },
      config: z.strictObject({ port: z.int().default(80) }),
    });
    expect(seen).toEqual([{ port: 80 }, { a: 'a' }]);
    expect(kernel.get(token('b'))).toBe('b');
    expect(states(kernel)).toEqual({ a: 'active', b: 'active' });
    expect(kernel.state).toBe('ready');
    await kernel.stop();
    expect(done).toEqual(['+a', '!a', '+b', '!b', '-b', '-a']);
  });

  it('is possible only while the kernel runs', async () => {
    const kernel = kernelWith([]);
    const refused = { code: 'KERNEL_STATE', message: 'cannot load a plugin while the kernel is idle' };
    await expect(kernel.load(plugin('p'))).rejects.toMatchObject(refused);
    await kernel.start();
    await kernel.stop();
    await expect(kernel.load(plugin('p'))).rejects.toMatchObject({ code: 'KERNEL_STATE' });
  });

  it.each<[string, Plugin, Record<string, unknown>]>([
    ['no plugin', { name: 'x' } as Plugin, { code: 'KERNEL_PLUGIN_INVALID' }],
    ['an id that runs already', plugin('a'), { code: 'KERNEL_PLUGIN_DUPLICATE' }],
    [
      'a wrong config',
      plugin('x', { config: z.strictObject({ port: z.int() }) }),
      { code: 'KERNEL_CONFIG_INVALID', message: expect.stringContaining('x.port: expected integer') },
    ],
    [
      'a requirement that nobody meets',
      part('x', ['a', 'y'], []),
      {
        code: 'KERNEL_DEPENDENCY_MISSING',
        details: { missing: ['"x" requires loading.y, which no running plugin provides'] },
      },
    ],
    ['a service that is taken', plugin('x', { provides: [token('a')] }), { code: 'KERNEL_SERVICE_CONFLICT' }],
    [
      'a promise that is not kept',
      plugin('x', { provides: [token('x')] }),
      { code: 'KERNEL_SERVICE_PROMISED' },
    ],
    ['a setup that throws', boom, { code: 'KERNEL_PLUGIN_FAILED', details: { phase: 'setup' } }],
    [
      'a hook that throws when it is ready',
      plugin('x', { setup: (ctx) => void ctx.onReady(() => Promise.reject(new Error('in use'))) }),
      { code: 'KERNEL_PLUGIN_FAILED', message: 'plugin "x" failed during ready: in use' },
    ],
    ['a setup that hangs', plugin('x', { setup: never }), { code: 'KERNEL_PLUGIN_TIMEOUT' }],
  ])('is refused, and changes nothing, for %s', async (_, refused, error) => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done)], { pluginTimeoutMs: 50 });
    const before = kernel.inspect().plugins;
    for (const optional of [false, true]) {
      expect(await rejection(kernel.load(refused, { optional }))).toMatchObject(error);
      expect(kernel.state).toBe('ready');
      expect(kernel.inspect().plugins).toEqual(before);
    }
    await kernel.stop();
    expect(done).toEqual(['+a', '!a', '-a']);
  });

  it('undoes all that a plugin did before it failed, and what had come back because of it waits again', async () => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done), part('b', ['a'], done)]);
    await kernel.unload('a');
    done.length = 0;
    const broken = part('a', [], done, {
      setup(ctx) {
        done.push('+broken');
        ctx.effect('mark', () => () => void done.push('-broken'));
        ctx.provide(token('a'), 'broken');
        ctx.onReady(() => Promise.reject(new Error('no')));
      },
    });
    await rejection(kernel.load(broken));
    expect(done).toEqual(['+broken', '+b', '-b', '-broken']);
    expect(states(kernel)).toEqual({ b: 'stopped' });
    await kernel.load(part('a', [], done));
    expect(states(kernel)).toEqual({ a: 'active', b: 'active' });
    expect(done.slice(4)).toEqual(['+a', '+b', '!a', '!b']);
    await kernel.stop();
  });

  it('takes the place of a plugin of that id which failed, and the kernel is ready again', async () => {
    const done: string[] = [];
    const kernel = await startKernel([
      [part('a', [], done, { setup: boom.setup }), { optional: true }],
      [part('b', ['a'], done), { optional: true }],
      plugin('c'),
    ]);
    expect(kernel.state).toBe('degraded');
    expect(states(kernel)).toEqual({ a: 'failed', b: 'failed', c: 'active' });
    const heard: string[] = [];
    kernel.bus.on('kernel:state', ({ from, to }) => void heard.push(`${from} -> ${to}`));
    await kernel.load(part('a', [], done));
    expect(heard).toEqual(['degraded -> ready']);
    expect(done).toEqual(['+a', '+b', '!a', '!b']);
    expect(kernel.inspect().plugins).toMatchObject([
      { id: 'a', state: 'active', optional: false },
      { id: 'b', state: 'active', optional: true },
      { id: 'c', state: 'active' },
    ]);
    for (const each of kernel.inspect().plugins) expect(each).not.toHaveProperty('error');
    await kernel.stop();
  });

  it('does not try again what failed by its own fault', async () => {
    let tries = 0;
    const fails = plugin('fails', {
      setup() {
        tries++;
        throw new Error('no');
      },
    });
    const kernel = await startKernel([[fails, { optional: true }]]);
    await kernel.load(plugin('other'));
    expect(tries).toBe(1);
    expect(kernel.state).toBe('degraded');
    await kernel.stop();
  });
});

describe('what depends on an unloaded plugin', () => {
  it('comes back in its old order as soon as all that it needs is there', async () => {
    const done: string[] = [];
    const kernel = await startKernel([
      part('d', ['c', 'x'], done),
      part('a', [], done),
      part('x', [], done),
      part('c', ['b'], done),
      part('b', ['a'], done),
      part('alone', [], done),
    ]);
    await kernel.unload('a');
    await kernel.unload('x');
    expect(states(kernel)).toEqual({
      d: 'stopped',
      c: 'stopped',
      b: 'stopped',
      alone: 'active',
    });
    expect(kernel.state).toBe('degraded');
    done.length = 0;
    await kernel.load(part('a', [], done));
    expect(done.splice(0)).toEqual(['+a', '+b', '+c', '!a', '!b', '!c']);
    expect(kernel.state).toBe('degraded');
    await kernel.load(part('x', [], done));
    expect(done.splice(0)).toEqual(['+x', '+d', '!x', '!d']);
    expect(kernel.state).toBe('ready');
    await kernel.stop();
    expect(done).toEqual(['-d', '-x', '-c', '-b', '-a', '-alone']);
  });

  it('keeps its place in the report, and its config', async () => {
    const config = z.strictObject({ port: z.int().default(80) });
    const seen: unknown[] = [];
    const user = plugin('user', {
      config,
      requires: { a: token('a') },
      setup: (ctx) => void seen.push(ctx.config),
    });
    const kernel = await startKernel([[user, { config: { port: 81 } }], part('a', [], [])]);
    await kernel.unload('a');
    await kernel.load(part('a', [], []));
    expect(seen).toEqual([{ port: 81 }, { port: 81 }]);
    expect(kernel.inspect().plugins.map(({ id }) => id)).toEqual(['user', 'a']);
    await kernel.stop();
  });

  it('gets a service that it only wants when that is there again', async () => {
    const seen: unknown[] = [];
    const wants = plugin('wants', {
      optional: { a: token('a') },
      setup: (_, services) => void seen.push(services),
    });
    const kernel = await startKernel([part('a', [], []), wants]);
    await kernel.unload('a');
    await kernel.load(part('a', [], []));
    expect(seen).toEqual([{ a: 'a' }, { a: 'a' }]);
    await kernel.stop();
  });

  it('comes back after what it only wants and waited for the same, although that is further down in the config', async () => {
    const seen: unknown[] = [];
    const wants = plugin('wants', {
      requires: { a: token('a') },
      optional: { b: token('b') },
      setup: (_, services) => void seen.push(services),
    });
    const kernel = await startKernel([wants, part('b', ['a'], []), part('a', [], [])]);
    await kernel.unload('a');
    await kernel.load(part('a', [], []));
    expect(seen).toEqual([
      { a: 'a', b: 'b' },
      { a: 'a', b: 'b' },
    ]);
    await kernel.stop();
  });

  it('does not come back once it was unloaded itself', async () => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done), part('b', ['a'], done)]);
    await kernel.unload('a');
    await kernel.unload('b');
    expect(kernel.state).toBe('ready');
    await kernel.load(part('a', [], done));
    expect(states(kernel)).toEqual({ a: 'active' });
    await expect(kernel.unload('b')).rejects.toMatchObject({
      code: 'KERNEL_PLUGIN_UNKNOWN',
      details: { known: ['a'] },
    });
    await kernel.stop();
  });

  it('is left out when it fails on its return; what it stood on runs, and the log says why', async () => {
    const { logger, lines } = recordingLogger();
    let starts = 0;
    const once = part('b', ['a'], [], {
      setup(ctx) {
        if (starts++ > 0) throw new Error('only once');
        ctx.provide(token('b'), 'b');
      },
    });
    const kernel = await startKernel([part('a', [], []), once, part('c', ['b'], [])], { logger });
    await kernel.unload('a');
    await kernel.load(part('a', [], []));
    expect(states(kernel)).toEqual({ a: 'active', b: 'failed', c: 'stopped' });
    expect(kernel.state).toBe('degraded');
    expect(lines.find(({ msg }) => msg === 'a plugin failed')).toMatchObject({
      level: 'error',
      plugin: 'b',
      err: { message: expect.stringContaining('plugin "b" failed during setup: only once') },
    });
    await kernel.load(part('b', ['a'], []));
    expect(states(kernel)).toEqual({ a: 'active', b: 'active', c: 'active' });
    expect(kernel.state).toBe('ready');
    await kernel.stop();
  });

  it('in any graph: runs again after a reload of any plugins in any order, as if nothing had happened', async () => {
    const graphs = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(graphs, fc.array(fc.nat(), { maxLength: 4 }), async (all, chosen) => {
        const done: string[] = [];
        const plugins = all.map((each, rank) =>
          part(String(rank), rank === 0 ? [] : [...new Set(each.map((n) => String(n % rank)))], done),
        );
        const kernel = await startKernel(plugins);
        const effectsNow = () => new Map(kernel.inspect().plugins.map(({ id, effects }) => [id, effects]));
        const before = effectsNow();
        const gone = new Set(chosen.map((n) => String(n % all.length)));
        for (const id of gone) await kernel.unload(id);
        // Providers first, as a load must find what it requires; those that wait need no call.
        for (const each of plugins) if (gone.has(each.name)) await kernel.load(each);
        expect(kernel.state).toBe('ready');
        expect(effectsNow()).toEqual(before);
        done.length = 0;
        await kernel.stop();
        const stopped = done.map((line) => line.slice(1));
        for (const { name, requires } of plugins)
          for (const used of Object.keys(requires))
            expect(stopped.indexOf(name)).toBeLessThan(stopped.indexOf(used));
      }),
      { numRuns: times(100) },
    );
  });
});

describe('reloading', () => {
  const failing = (done: string[], overrides: Partial<Plugin> = {}) =>
    part('a', [], done, {
      setup(ctx) {
        done.push('+new');
        ctx.effect('mark', () => () => void done.push('-new'));
        ctx.provide(token('a'), 'new');
        throw new Error('boom');
      },
      ...overrides,
    });

  it('puts a new version in the place of the old one, and restarts what depends on it', async () => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done), part('b', ['a'], done), part('c', [], done)]);
    done.length = 0;
    const newer = part('a', [], done, { setup: (ctx) => void ctx.provide(token('a'), 'newer') });
    await kernel.reload(newer, { version: '2.0.0' });
    expect(done).toEqual(['-b', '-a', '+b', '!b']);
    expect(kernel.get(token('a'))).toBe('newer');
    expect(kernel.state).toBe('ready');
    expect(kernel.inspect().plugins.map(({ id, version }) => [id, version])).toEqual([
      ['a', '2.0.0'],
      ['b', undefined],
      ['c', undefined],
    ]);
    await kernel.stop();
  });

  it('loads what did not run', async () => {
    const done: string[] = [];
    const kernel = await startKernel([[part('a', [], done, { setup: boom.setup }), { optional: true }]]);
    await kernel.reload(part('a', [], done));
    await kernel.reload(part('b', ['a'], done));
    expect(states(kernel)).toEqual({ a: 'active', b: 'active' });
    expect(kernel.state).toBe('ready');
    await kernel.stop();
  });

  it.each<[string, Plugin]>([
    ['a config that is wrong', part('a', [], [], { config: z.strictObject({ port: z.int() }) })],
    ['a requirement that nobody meets', part('a', ['nobody'], [])],
    ['a requirement that only what depends on it meets', part('a', ['b'], [])],
    ['a service of another', part('a', [], [], { provides: [token('a'), token('c')] })],
    ['a service of what depends on it', part('a', [], [], { provides: [token('a'), token('b')] })],
  ])('does not touch the old version when the new one has %s', async (_, refused) => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done), part('b', ['a'], done), part('c', [], done)]);
    const before = kernel.inspect();
    done.length = 0;
    await rejection(kernel.reload(refused));
    expect(done).toEqual([]);
    expect(kernel.inspect()).toEqual(before);
    await kernel.stop();
  });

  it('brings the old version back when the new one fails, with all that depends on it', async () => {
    const done: string[] = [];
    const kernel = await startKernel([part('a', [], done), part('b', ['a'], done)]);
    done.length = 0;
    await expect(kernel.reload(failing(done))).rejects.toMatchObject({ code: 'KERNEL_PLUGIN_FAILED' });
    expect(done).toEqual(['-b', '-a', '+new', '-new', '+a', '+b', '!a', '!b']);
    expect(kernel.get(token('a'))).toBe('a');
    expect(kernel.state).toBe('ready');
    await kernel.stop();
  });

  it('says so when not even the old version starts again, and the kernel is degraded', async () => {
    const { logger, lines } = recordingLogger();
    let starts = 0;
    const once = part('a', [], [], {
      setup(ctx) {
        if (starts++ > 0) throw new Error('only once');
        ctx.provide(token('a'), 'a');
      },
    });
    const kernel = await startKernel([once, part('b', ['a'], [])], { logger });
    const error = await rejection(kernel.reload(failing([])));
    expect(error.message).toBe('plugin "a" failed during setup: boom');
    expect(lines.find(({ msg }) => msg === 'a plugin failed')).toMatchObject({
      plugin: 'a',
      err: { message: expect.stringContaining('only once') },
    });
    expect(kernel.state).toBe('degraded');
    await kernel.reload(part('a', [], []));
    expect(kernel.state).toBe('ready');
    expect(states(kernel)).toEqual({ a: 'active', b: 'active' });
    await kernel.stop();
  });

  it('ends cleanly when a stop comes, and does not bring the old version back', async () => {
    const done: string[] = [];
    const begun = deferred();
    const hangs = failing(done, {
      setup() {
        begun.resolve();
        return never();
      },
    });
    const { logger, lines } = recordingLogger();
    const kernel = await startKernel([part('a', [], done), part('b', ['a'], done)], { logger });
    done.length = 0;
    const reload = rejection(kernel.reload(hangs));
    await begun.promise;
    await kernel.stop();
    expect(await reload).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    expect(done).toEqual(['-b', '-a']);
    expect(kernel.state).toBe('stopped');
    expect(lines).toEqual([]);
  });

  it('does not begin once a stop was asked for: that drains the old version first', async () => {
    const done: string[] = [];
    const gate = deferred();
    const old = plugin('a', { setup: (ctx) => void ctx.onDrain(() => void done.push('drain')) });
    const kernel = await startKernel([old]);
    const loading = kernel.load(plugin('slow', { setup: () => gate.promise }));
    const calls = [rejection(loading), rejection(kernel.reload(part('a', [], done)))];
    await kernel.stop();
    gate.resolve();
    expect(await Promise.all(calls)).toMatchObject(Array(2).fill({ code: 'KERNEL_START_ABORTED' }));
    expect(done).toEqual(['drain']);
  });

  it('does not set the new version up when a stop came while the old one ended', async () => {
    const done: string[] = [];
    const old = plugin('a', { setup: (ctx) => void ctx.effect('stop', () => () => void kernel.stop()) });
    const kernel = await startKernel([old]);
    expect(await rejection(kernel.reload(part('a', [], done)))).toMatchObject({
      code: 'KERNEL_START_ABORTED',
    });
    await kernel.stop();
    expect(done).toEqual([]);
    expect(kernel.state).toBe('stopped');
  });
});

describe('calls at the same time', () => {
  it('are done one after the other', async () => {
    const done: string[] = [];
    const gate = deferred();
    const slow = part('slow', [], done, {
      async setup(ctx) {
        done.push('+slow');
        await gate.promise;
        ctx.provide(token('slow'), 'slow');
        ctx.effect('mark', () => () => void done.push('-slow'));
      },
    });
    const kernel = await startKernel([]);
    const calls = [
      kernel.load(slow),
      kernel.load(part('b', ['slow'], done)),
      kernel.unload('slow'),
      rejection(kernel.load(part('c', ['slow'], done))),
      kernel.load(slow),
    ];
    gate.resolve();
    await Promise.all(calls);
    expect(done).toEqual(['+slow', '+b', '!b', '-b', '-slow', '+slow', '+b', '!b']);
    await kernel.stop();
  });

  it('end cleanly when a stop comes during a load that hangs, and what came after that is refused', async () => {
    const done: string[] = [];
    const begun = deferred();
    const hangs = plugin('hangs', {
      setup(ctx) {
        ctx.effect('half', () => () => void done.push('-half'));
        begun.resolve();
        return never();
      },
    });
    const kernel = await startKernel([part('a', [], done)], { pluginTimeoutMs: 60_000 });
    const load = rejection(kernel.load(hangs));
    const queued = rejection(kernel.load(plugin('queued')));
    await begun.promise;
    const stop = kernel.stop();
    const late = rejection(kernel.load(plugin('late')));
    expect(await load).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    expect(await queued).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    await stop;
    expect(await late).toMatchObject({ code: 'KERNEL_STATE' });
    expect(kernel.state).toBe('stopped');
    expect(done).toEqual(['+a', '!a', '-half', '-a']);
    expect(states(kernel)).toEqual({ a: 'stopped' });
  });

  it('end cleanly when a stop comes while something comes back', async () => {
    const done: string[] = [];
    const begun = deferred();
    let starts = 0;
    const second = part('b', ['a'], done, {
      setup(ctx) {
        ctx.provide(token('b'), 'b');
        ctx.effect('mark', () => () => void done.push('-b'));
        if (starts++ === 0) return;
        begun.resolve();
        return never();
      },
    });
    const kernel = await startKernel([part('a', [], done), second]);
    await kernel.unload('a');
    done.length = 0;
    const load = rejection(kernel.load(part('a', [], done)));
    await begun.promise;
    await kernel.stop();
    expect(await load).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    expect(done).toEqual(['+a', '-b', '-a']);
    expect(kernel.inspect()).toMatchObject({ state: 'stopped', plugins: [{ id: 'b', effects: [] }] });
  });
});

describe('two hundred rounds of unloading and loading', () => {
  it('leave no effect, listener, timer, agent, task or memory behind', async () => {
    setFlagsFromString('--expose-gc');
    const { runInNewContext } = await import('node:vm');
    const collect = runInNewContext('gc') as () => void;
    const routes = new Set<string>();
    const heard: string[] = [];
    const contexts: WeakRef<PluginContext>[] = [];
    const rich = () =>
      plugin('rich', {
        provides: [token('rich')],
        setup(ctx) {
          contexts.push(new WeakRef(ctx));
          ctx.provide(token('rich'), 'rich');
          ctx.addAgent({ name: 'bee', async *generateResponseStream() {} });
          ctx.registerTask({ name: 'bee:buzz', lane: 'main', run: async () => undefined });
          ctx.bus.on('kernel:state', () => void heard.push('bus'));
          ctx.onReady(() => {});
          ctx.onDrain(() => void heard.push('drain'));
          ctx.signal.addEventListener('abort', () => {});
          ctx.effect('timer', () => {
            const timer = setInterval(() => {}, 60_000);
            return () => clearInterval(timer);
          });
          ctx.effect('GET /bee', () => {
            routes.add('GET /bee');
            return () => void routes.delete('GET /bee');
          });
          ctx.effect('on exit', () => {
            const listener = () => {};
            process.on('exit', listener);
            return () => void process.off('exit', listener);
          });
        },
      });
    const seen: PluginContext[] = [];
    const user = plugin('user', { requires: { rich: token('rich') } });
    const kernel = await startKernel([
      plugin('watcher', { setup: (ctx) => void seen.push(ctx) }),
      rich(),
      user,
    ]);
    const now = () =>
      new Map(kernel.inspect().plugins.map(({ id, state, effects }) => [id, { state, effects }]));
    const before = now();
    await kernel.unload('rich');
    const leaks = leakCheck();
    for (let round = 0; round < 200; round++) {
      await kernel.load(rich());
      expect([...seen[0]!.agents, ...seen[0]!.tasks].map(({ name }) => name)).toEqual(['bee', 'bee:buzz']);
      expect([...routes]).toEqual(['GET /bee']);
      await kernel.unload('rich');
      expect([...seen[0]!.agents, ...seen[0]!.tasks, ...routes]).toEqual([]);
    }
    await leaks.settled();
    heard.length = 0;
    kernel.bus.emit('kernel:state', { from: 'a', to: 'b' });
    expect(heard).toEqual([]);
    // A turn, as weak references hold what was made in the same one.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(contexts.filter((each) => each.deref()).length).toBeLessThan(10);

    await kernel.load(rich());
    expect(now()).toEqual(before);
    expect(kernel.state).toBe('ready');
    await kernel.stop();
    expect(heard.filter((each) => each === 'drain')).toEqual(['drain']);
  });
});

describe('a rehearsal', () => {
  it('sets everything up, calls nobody ready, and undoes it in reverse', async () => {
    const done: string[] = [];
    const kernel = kernelWith([part('b', ['a'], done), part('a', [], done)]);
    expect(await kernel.dryRun()).toMatchObject({
      plugins: [
        { id: 'b', state: 'active', effects: ['mark', 'provide loading.b', 'onReady'] },
        { id: 'a', state: 'active' },
      ],
    });
    expect(done).toEqual(['+a', '+b', '-b', '-a']);
    expect(kernel.state).toBe('stopped');
    await expect(kernel.start()).rejects.toMatchObject({ code: 'KERNEL_STATE' });
  });

  it('tells of all that fail, and goes on with the others', async () => {
    const kernel = kernelWith([
      part('a', [], [], { setup: boom.setup }),
      part('b', ['a'], []),
      part('c', [], []),
      boom,
    ]);
    expect(await kernel.dryRun()).toMatchObject({
      plugins: [
        { id: 'a', state: 'failed', error: 'plugin "a" failed during setup: boom' },
        { id: 'b', state: 'failed', error: expect.stringContaining('"b" requires loading.a') },
        { id: 'c', state: 'active' },
        { id: 'boom', state: 'failed' },
      ],
    });
    expect(kernel.state).toBe('stopped');
  });

  it('checks first, as a start does', async () => {
    const done: string[] = [];
    const kernel = kernelWith([part('c', [], done), part('a', ['b'], done)]);
    await expect(kernel.dryRun()).rejects.toMatchObject({ code: 'KERNEL_DEPENDENCY_MISSING' });
    expect(done).toEqual([]);
    expect(kernel.state).toBe('failed');
  });

  it('ends at once when a stop comes', async () => {
    const begun = deferred();
    const hangs = plugin('hangs', {
      setup() {
        begun.resolve();
        return never();
      },
    });
    const kernel = kernelWith([hangs]);
    const rehearsal = rejection(kernel.dryRun());
    await begun.promise;
    await kernel.stop();
    expect(await rehearsal).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    expect(kernel.state).toBe('stopped');
  });
});

describe('the version in a report', () => {
  it('is what the use says, else what the plugin says, else nothing', async () => {
    const kernel = kernelWith([
      [plugin('a', { version: '1.0.0' }), { version: '2.0.0' }],
      plugin('b', { version: '1.0.0' }),
      plugin('c'),
    ]);
    const versions = kernel.inspect().plugins.map((each) => each.version);
    expect(versions).toEqual(['2.0.0', '1.0.0', undefined]);
  });
});
