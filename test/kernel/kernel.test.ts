import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Agent } from '../../kernel/contracts/agent.js';
import type { PluginContext } from '../../kernel/contracts/plugin-context.js';
import type { TaskDefinition } from '../../kernel/contracts/task.js';
import type { WaggleError } from '../../kernel/errors.js';
import { Kernel } from '../../kernel/kernel.js';
import { definePlugin, type Plugin } from '../../kernel/plugin.js';
import { createToken } from '../../kernel/services.js';
import {
  deferred,
  kernelWith,
  never,
  plugin,
  recordingLogger,
  rejection,
  silentLogger,
  startKernel,
} from '../support/kernel.js';

const token = (id: string) => createToken<string>(`kernel.${id}`);
const A = token('a');
const B = token('b');

/** Provides services under its own name; `done` hears of its setup and of its undo. */
function provider(
  name: string,
  uses: readonly string[],
  done: string[],
  overrides: Partial<Plugin> = {},
): Plugin {
  return plugin(name, {
    requires: Object.fromEntries(uses.map((use) => [use, token(use)])),
    provides: [token(name)],
    setup(ctx) {
      done.push(`start ${name}`);
      ctx.effect('mark', () => () => void done.push(`stop ${name}`));
      ctx.provide(token(name), name);
    },
    ...overrides,
  });
}

function agent(name: string): Agent {
  return { name, async *generateResponseStream() {} };
}

function task(name: string): TaskDefinition {
  return { name, lane: 'main', run: async () => undefined };
}

function report(kernel: Kernel, id: string) {
  return kernel.inspect().plugins.find((each) => each.id === id)!;
}

function states(kernel: Kernel): Record<string, string> {
  return Object.fromEntries(kernel.inspect().plugins.map(({ id, state }) => [id, state]));
}

describe('starting', () => {
  it('sets up providers before their users, otherwise in config order, one after the other', async () => {
    const done: string[] = [];
    const slow = plugin('slow', {
      async setup() {
        done.push('slow begins');
        await new Promise((resolve) => setImmediate(resolve));
        done.push('slow ends');
      },
    });
    const kernel = await startKernel([
      slow,
      provider('b', ['a'], done),
      provider('c', [], done),
      provider('a', [], done),
    ]);
    expect(done).toEqual(['slow begins', 'slow ends', 'start a', 'start b', 'start c']);
    expect(kernel.state).toBe('ready');
    await kernel.stop();
    expect(done.slice(5)).toEqual(['stop c', 'stop b', 'stop a']);
  });

  it('gives each plugin the services it asked for, by its own names', async () => {
    const seen: unknown[] = [];
    const user = definePlugin({
      name: 'user',
      apiVersion: 1,
      requires: { first: A },
      optional: { second: B, third: token('nobody') },
      setup: (_, services) => void seen.push(services),
    });
    const kernel = await startKernel([user, provider('a', [], []), provider('b', [], [])]);
    expect(seen).toEqual([{ first: 'a', second: 'b' }]);
    expect(kernel.get(A)).toBe('a');
    await kernel.stop();
  });

  it('gives services of the host to those that use them where they exist, also after a change', async () => {
    const seen: unknown[] = [];
    const user = plugin('user', { optional: { a: A }, setup: (_, services) => void seen.push(services) });
    const kernel = await startKernel([user], { services: [[A, 'hosted']] });
    await kernel.reload(user);
    expect(seen).toEqual([{ a: 'hosted' }, { a: 'hosted' }]);
    const error = await rejection(kernel.load(provider('a', [], [])));
    expect(error.message).toContain('the host');
    await kernel.stop();
  });

  it('calls what waits for readiness after every setup, in start order, and before it is ready', async () => {
    const done: string[] = [];
    const ready = (name: string) =>
      plugin(name, {
        setup(ctx) {
          done.push(`setup ${name}`);
          ctx.onReady(() => void done.push(`ready ${name} ${kernel.state}`));
        },
      });
    const kernel = kernelWith([ready('a'), ready('b')]);
    await kernel.start();
    expect(done).toEqual(['setup a', 'setup b', 'ready a starting', 'ready b starting']);
    await kernel.stop();
  });

  it('announces every step of the kernel and of its plugins', async () => {
    const kernel = kernelWith([plugin('p')]);
    const seen: string[] = [];
    kernel.bus.on('kernel:state', ({ from, to }) => void seen.push(`${from} -> ${to}`));
    kernel.bus.on('plugin:state', (event) => void seen.push(`${event.plugin}: ${event.from} -> ${event.to}`));
    await kernel.start();
    await kernel.stop();
    expect(seen).toEqual([
      'idle -> starting',
      'p: pending -> starting',
      'p: starting -> active',
      'starting -> ready',
      'ready -> draining',
      'draining -> stopping',
      'p: active -> stopping',
      'p: stopping -> stopped',
      'stopping -> stopped',
    ]);
  });

  it('is possible once, and plugins are added before it', async () => {
    const kernel = await startKernel([]);
    await expect(kernel.start()).rejects.toMatchObject({
      code: 'KERNEL_STATE',
      message: 'cannot start while the kernel is ready',
    });
    expect(() => kernel.use(plugin('late'))).toThrow('cannot add a plugin while the kernel is ready');
    await kernel.stop();
    await expect(kernel.start()).rejects.toMatchObject({ code: 'KERNEL_STATE' });
  });
});

describe('before anything starts', () => {
  const setup = vi.fn();

  it('every config is checked, and all issues come in one error that names plugin, path and nearest key', async () => {
    const config = z.strictObject({ port: z.int().max(65_535).default(80), host: z.string().default('::') });
    const kernel = kernelWith([
      plugin('first', { setup }),
      [plugin('one', { config, setup }), { config: { prot: 1, host: 5 } }],
      [plugin('two', { config, setup }), { id: 'another', config: { port: 'x' } }],
    ]);
    expect(await rejection(kernel.start())).toMatchObject({
      code: 'KERNEL_CONFIG_INVALID',
      details: {
        issues: [
          'one.host: expected string, got number 5',
          'one.prot: unknown key, did you mean "port"?',
          'another.port: expected integer <= 65535, got string "x"',
        ],
      },
    });
    expect(setup).not.toHaveBeenCalled();
    expect(kernel.state).toBe('failed');
    expect(states(kernel)).toEqual({ first: 'pending', one: 'pending', another: 'pending' });
  });

  it('issues in configs and in the graph are told together', async () => {
    const config = z.strictObject({ port: z.int() });
    const kernel = kernelWith([plugin('one', { config }), plugin('two', { requires: { a: A } })]);
    const error = await rejection(kernel.check());
    expect(error.message).toContain('one.port: expected integer');
    expect(error.message).toContain('"two" requires kernel.a, which no plugin provides');
  });

  it('defaults are filled in, and without a schema the config comes as it is', async () => {
    const seen: unknown[] = [];
    const keep = (ctx: PluginContext) => void seen.push(ctx.config);
    const config = z.strictObject({ port: z.int().default(80) });
    const kernel = await startKernel([
      plugin('a', { config, setup: keep }),
      [plugin('b', { setup: keep }), { config: { any: 'thing' } }],
    ]);
    expect(seen).toEqual([{ port: 80 }, { any: 'thing' }]);
    await kernel.stop();
  });

  it.each<[string, Plugin[], string, string]>([
    [
      'every missing requirement at once',
      [plugin('x', { requires: { a: A, b: B }, setup })],
      'KERNEL_DEPENDENCY_MISSING',
      'unsatisfied requirements:\n  "x" requires kernel.a, which no plugin provides\n  "x" requires kernel.b, which no plugin provides',
    ],
    [
      'a cycle as its path',
      [provider('a', ['b'], [], { setup }), provider('b', ['a'], [], { setup })],
      'KERNEL_DEPENDENCY_CYCLE',
      'plugins require each other: a -> b -> a',
    ],
    [
      'two providers of one service by name',
      [provider('a', [], [], { setup }), plugin('x', { provides: [A], setup })],
      'KERNEL_SERVICE_CONFLICT',
      '"x" cannot provide kernel.a: "a" already does; disable one of them',
    ],
  ])('the graph is checked: %s', async (_, plugins, code, message) => {
    const kernel = kernelWith(plugins);
    expect(await rejection(kernel.check())).toMatchObject({ code, message });
    expect(await rejection(kernel.start())).toMatchObject({ code, message });
    expect(setup).not.toHaveBeenCalled();
  });

  it('a check tells the start order and starts nothing', async () => {
    const done: string[] = [];
    const kernel = kernelWith([provider('b', ['a'], done), provider('a', [], done)]);
    expect(await kernel.check()).toEqual(['a', 'b']);
    expect(done).toEqual([]);
    expect(kernel.state).toBe('idle');
  });

  it('two plugins of one id are refused, and the same plugin under two ids is not', () => {
    const kernel = kernelWith([plugin('p'), [plugin('p'), { id: 'again' }]]);
    expect(() => kernel.use(plugin('p'))).toThrow(
      expect.objectContaining({ code: 'KERNEL_PLUGIN_DUPLICATE', details: { plugin: 'p' } }),
    );
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /the default export is not an object/],
    ['a function', () => {}, /the default export is not an object/],
    ['no name', { ...plugin('p'), name: '' }, /"name" is not a text/],
    ['no setup', { ...plugin('p'), setup: undefined }, /"setup" is not a function/],
    ['another version', { ...plugin('p'), apiVersion: 2 }, /"apiVersion" is 2; this kernel speaks version 1/],
    ['no version', { ...plugin('p'), apiVersion: undefined }, /"apiVersion" is undefined/],
    [
      'a config that is no schema',
      { ...plugin('p'), config: { greeting: 'Hi' } },
      /"config" is not a schema/,
    ],
    ['a config that is nothing', { ...plugin('p'), config: null }, /"config" is not a schema/],
    ['provides that is no list', { ...plugin('p'), provides: A }, /"provides" is not a list/],
    ['a token that is none', { ...plugin('p'), provides: ['a'] }, /take tokens of createToken/],
    [
      'a requirement that is none',
      { ...plugin('p'), requires: { a: undefined } },
      /take tokens of createToken/,
    ],
    ['an option that is none', { ...plugin('p'), optional: { a: 'a' } }, /take tokens of createToken/],
  ])('a malformed plugin is refused: %s', (_, malformed, why) => {
    const use = () => new Kernel({ logger: silentLogger }).use(malformed as Plugin, { id: 'p' });
    expect(use).toThrow(expect.objectContaining({ code: 'KERNEL_PLUGIN_INVALID' }));
    expect(use).toThrow(why);
  });
});

describe('a start that fails', () => {
  it('undoes the failing plugin and all earlier ones, newest first, past failing undos, and keeps the cause', async () => {
    const done: string[] = [];
    const boom = new Error('boom');
    const { logger, lines } = recordingLogger();
    const kernel = kernelWith(
      [
        provider('a', [], done),
        plugin('b', {
          setup(ctx) {
            ctx.effect('first', () => () => void done.push('stop b'));
            ctx.effect('stuck', () => () => {
              throw new Error('stuck');
            });
          },
        }),
        plugin('c', {
          async setup(ctx) {
            ctx.effect('half', () => () => void done.push('stop c'));
            throw boom;
          },
        }),
        provider('d', [], done),
      ],
      { logger },
    );
    expect(await rejection(kernel.start())).toMatchObject({
      code: 'KERNEL_PLUGIN_FAILED',
      message: 'plugin "c" failed during setup: boom',
      cause: boom,
    });
    expect(done).toEqual(['start a', 'stop c', 'stop b', 'stop a']);
    expect(kernel.state).toBe('failed');
    expect(states(kernel)).toEqual({ a: 'stopped', b: 'failed', c: 'failed', d: 'pending' });
    expect(report(kernel, 'c')).toMatchObject({ error: 'plugin "c" failed during setup: boom', effects: [] });
    expect(lines.map(({ msg }) => msg)).toContain('an undo failed');
  });

  it('undoes exactly what was set up, each once, wherever it fails', async () => {
    const places = fc
      .nat({ max: 7 })
      .chain((count) => fc.tuple(fc.constant(count + 1), fc.nat({ max: count }), fc.boolean()));
    await fc.assert(
      fc.asyncProperty(places, async ([count, failing, isReady]) => {
        const done: string[] = [];
        const fail = () => {
          throw new Error('no');
        };
        const all = Array.from({ length: count }, (_, index) =>
          plugin(String(index), {
            setup(ctx) {
              ctx.effect('mark', () => () => void done.push(String(index)));
              if (index === failing && isReady) ctx.onReady(fail);
              else if (index === failing) fail();
            },
          }),
        );
        const kernel = kernelWith(all);
        const error = await rejection(kernel.start());
        expect(error.message).toBe(`plugin "${failing}" failed during ${isReady ? 'ready' : 'setup'}: no`);
        const last = isReady ? count - 1 : failing;
        expect(done).toEqual(Array.from({ length: last + 1 }, (_, index) => String(last - index)));
        expect(kernel.inspect().plugins.flatMap(({ effects }) => effects)).toEqual([]);
      }),
    );
  });

  it('names a promised service that was not provided', async () => {
    const kernel = kernelWith([plugin('p', { provides: [A] })]);
    expect(await rejection(kernel.start())).toMatchObject({
      code: 'KERNEL_SERVICE_PROMISED',
      message: '"p" lists kernel.a in "provides", but setup() did not provide it',
    });
  });

  it('names a service that was provided without being declared', async () => {
    const kernel = kernelWith([plugin('p', { setup: (ctx) => void ctx.provide(A, 'x') })]);
    const error = await rejection(kernel.start());
    expect(error.cause).toMatchObject({
      code: 'KERNEL_SERVICE_UNDECLARED',
      details: { service: 'kernel.a', plugin: 'p' },
    });
  });

  it.each([
    ['agents', (ctx: PluginContext) => void ctx.addAgent(agent('same')), 'agent'],
    ['tasks', (ctx: PluginContext) => void ctx.registerTask(task('same')), 'task'],
  ])('names both plugins of two %s with one name', async (_, setup, kind) => {
    const kernel = kernelWith([plugin('one', { setup }), plugin('two', { setup })]);
    const error = await rejection(kernel.start());
    expect(error.cause).toMatchObject({
      code: 'KERNEL_REGISTRY_CONFLICT',
      details: { kind, name: 'same', owner: 'one', plugin: 'two' },
    });
  });

  it.each(['text', undefined, null])('says something sensible of %j, thrown by a plugin', async (thrown) => {
    const kernel = kernelWith([
      plugin('p', {
        setup: () => {
          throw thrown;
        },
      }),
    ]);
    expect((await rejection(kernel.start())).message).toBe(`plugin "p" failed during setup: ${thrown}`);
  });
});

describe('a setup that outlives its time', () => {
  it('fails the start, and can register nothing any more', async () => {
    const gate = deferred();
    const refused = deferred<unknown[]>();
    const late = plugin('late', {
      provides: [A],
      async setup(ctx) {
        await gate.promise;
        const start = vi.fn(() => () => {});
        const attempts = [
          () => ctx.effect('x', start),
          () => ctx.provide(A, 'x'),
          () => ctx.addAgent(agent('ghost')),
          () => ctx.registerTask(task('ghost')),
          () => ctx.bus.on('kernel:state', () => {}),
          () => ctx.bus.watch(() => {}),
          () => ctx.onReady(() => {}),
          () => ctx.onDrain(() => {}),
        ];
        const codes = attempts.map((attempt) => {
          try {
            attempt();
            return 'nothing';
          } catch (error) {
            return (error as WaggleError).code;
          }
        });
        refused.resolve([...codes, start.mock.calls.length]);
      },
    });
    const kernel = kernelWith([late], { pluginTimeoutMs: 20 });
    expect(await rejection(kernel.start())).toMatchObject({
      code: 'KERNEL_PLUGIN_TIMEOUT',
      message: 'plugin "late": setup timed out after 20 ms',
    });
    gate.resolve();
    expect(await refused.promise).toEqual([...Array(8).fill('KERNEL_SCOPE_CLOSED'), 0]);
    expect(report(kernel, 'late').effects).toEqual([]);
    expect(() => kernel.get(A)).toThrow(expect.objectContaining({ code: 'KERNEL_SERVICE_MISSING' }));
  });

  it('may fail late without anybody minding', async () => {
    const gate = deferred();
    const kernel = kernelWith([plugin('late', { setup: () => gate.promise })], { pluginTimeoutMs: 20 });
    await rejection(kernel.start());
    gate.reject(new Error('late'));
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('also bounds what waits for readiness', async () => {
    const kernel = kernelWith([plugin('p', { setup: (ctx) => void ctx.onReady(never) })], {
      pluginTimeoutMs: 20,
    });
    expect((await rejection(kernel.start())).message).toBe('plugin "p": ready timed out after 20 ms');
  });
});

describe('an optional plugin', () => {
  const broken = (name: string, overrides: Partial<Plugin> = {}) =>
    plugin(name, {
      setup(ctx) {
        ctx.effect('half', () => () => {});
        throw new Error('boom');
      },
      ...overrides,
    });

  it('may fail: it is undone, the others go on, and the kernel is degraded', async () => {
    const { logger, lines } = recordingLogger();
    const done: string[] = [];
    const kernel = await startKernel(
      [provider('a', [], done), [broken('b'), { optional: true }], provider('c', [], done)],
      {
        logger,
      },
    );
    expect(kernel.state).toBe('degraded');
    expect(states(kernel)).toEqual({ a: 'active', b: 'failed', c: 'active' });
    expect(report(kernel, 'b')).toMatchObject({
      optional: true,
      effects: [],
      error: 'plugin "b" failed during setup: boom',
    });
    expect(lines.find(({ msg }) => msg === 'an optional plugin failed')).toMatchObject({
      level: 'warn',
      plugin: 'b',
      err: { message: expect.stringContaining('boom') },
    });
    await kernel.stop();
    expect(kernel.state).toBe('stopped');
    expect(done).toEqual(['start a', 'start c', 'stop c', 'stop a']);
  });

  it('takes optional plugins that require it with it, and leaves those that only want it', async () => {
    const seen: unknown[] = [];
    const kernel = await startKernel([
      [broken('a', { provides: [A] }), { optional: true }],
      [provider('b', ['a'], []), { optional: true }],
      [provider('c', ['b'], []), { optional: true }],
      plugin('wants', { optional: { a: A }, setup: (_, services) => void seen.push(services) }),
    ]);
    expect(kernel.state).toBe('degraded');
    expect(states(kernel)).toEqual({ a: 'failed', b: 'failed', c: 'failed', wants: 'active' });
    expect(report(kernel, 'b').error).toContain('"b" requires kernel.a, whose plugin failed');
    expect(seen).toEqual([{}]);
    await kernel.stop();
  });

  it('makes the start fail when another plugin cannot do without it', async () => {
    const kernel = kernelWith([
      [broken('a', { provides: [A] }), { optional: true }],
      provider('b', ['a'], []),
    ]);
    expect(await rejection(kernel.start())).toMatchObject({
      code: 'KERNEL_DEPENDENCY_MISSING',
      message: expect.stringContaining('"b" requires kernel.a, whose plugin failed'),
    });
    expect(kernel.state).toBe('failed');
  });

  const failsWhenReady = plugin('a', {
    provides: [A],
    setup(ctx) {
      ctx.provide(A, 'a');
      ctx.onReady(() => Promise.reject(new Error('in use')));
    },
  });

  it('that fails when all are set up takes its optional dependents with it, newest first', async () => {
    const done: string[] = [];
    const kernel = await startKernel([
      [failsWhenReady, { optional: true }],
      [provider('b', ['a'], done), { optional: true }],
      [provider('c', ['b'], done), { optional: true }],
      provider('d', [], done),
    ]);
    expect(kernel.state).toBe('degraded');
    expect(states(kernel)).toEqual({ a: 'failed', b: 'stopped', c: 'stopped', d: 'active' });
    expect(done).toEqual(['start b', 'start c', 'start d', 'stop c', 'stop b']);
    expect(() => kernel.get(A)).toThrow('no running plugin provides kernel.a');
    await kernel.stop();
  });

  it('that fails when all are set up makes the start fail when another plugin holds its service', async () => {
    const kernel = kernelWith([[failsWhenReady, { optional: true }], provider('b', ['a'], [])]);
    expect((await rejection(kernel.start())).message).toBe('plugin "a" failed during ready: in use');
  });

  it('may also fail to be undone; the log says so', async () => {
    const { logger, lines } = recordingLogger();
    const stuck = broken('a', {
      setup(ctx) {
        ctx.effect('stuck', () => () => Promise.reject(new Error('no')));
        throw new Error('boom');
      },
    });
    const kernel = await startKernel([[stuck, { optional: true }]], { logger });
    expect(kernel.state).toBe('degraded');
    expect(lines.map(({ msg }) => msg)).toContain('an undo failed');
    await kernel.stop();
  });

  it('may take too long', async () => {
    const kernel = await startKernel([[plugin('a', { setup: never }), { optional: true }]], {
      pluginTimeoutMs: 20,
    });
    expect(kernel.state).toBe('degraded');
    await kernel.stop();
  });
});

describe('stopping', () => {
  it('drains before anything is undone, with a deadline that aborts', async () => {
    const done: string[] = [];
    const kernel = await startKernel(
      [
        plugin('p', {
          setup(ctx) {
            ctx.effect('mark', () => () => void done.push('undo'));
            ctx.onDrain(async (deadline, timeoutMs) => {
              done.push(`drain ${kernel.state} ${deadline.aborted} ${timeoutMs}`);
              await new Promise((resolve) => deadline.addEventListener('abort', resolve));
              done.push('deadline');
            });
          },
        }),
      ],
      { drainTimeoutMs: 20 },
    );
    await kernel.stop();
    expect(done).toEqual(['drain draining false 20', 'deadline', 'undo']);
  });

  it('drains all plugins at the same time, and a failing drain is logged only', async () => {
    const { logger, lines } = recordingLogger();
    const gate = deferred();
    const kernel = await startKernel(
      [
        plugin('a', { setup: (ctx) => void ctx.onDrain(() => gate.promise) }),
        plugin('b', { setup: (ctx) => void ctx.onDrain(() => gate.resolve()) }),
        plugin('c', { setup: (ctx) => void ctx.onDrain(() => Promise.reject(new Error('no'))) }),
      ],
      { logger },
    );
    await kernel.stop();
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { plugin: 'c', msg: 'its drain hook failed', err: { message: 'no' } },
    ]);
  });

  it('is bounded in time: hanging drains and undos are logged by plugin and label, the rest is undone', async () => {
    const { logger, lines } = recordingLogger();
    const done: string[] = [];
    const kernel = await startKernel(
      [
        provider('a', [], done),
        plugin('hangs', {
          setup(ctx) {
            ctx.onDrain(never);
            ctx.effect('socket', () => never);
          },
        }),
      ],
      { logger, pluginTimeoutMs: 20, drainTimeoutMs: 20 },
    );
    expect(await rejection(kernel.stop())).toMatchObject({
      code: 'KERNEL_STOP_FAILED',
      details: { failures: ['hangs: plugin "hangs": stop timed out after 20 ms (left behind: socket)'] },
    });
    expect(kernel.state).toBe('stopped');
    expect(states(kernel)).toEqual({ a: 'stopped', hangs: 'failed' });
    expect(report(kernel, 'hangs').effects).toEqual(['socket']);
    expect(done).toEqual(['start a', 'stop a']);
    expect(lines).toContainEqual(
      expect.objectContaining({ plugin: 'hangs', msg: 'its drain hook did not end in time' }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ plugin: 'hangs', msg: 'left something behind' }));
  });

  it('tells of all that failed, after everything was undone', async () => {
    const done: string[] = [];
    const stuck = (name: string) =>
      plugin(name, {
        setup: (ctx) => {
          ctx.effect('x', () => () => {
            throw new Error('stuck');
          });
        },
      });
    const kernel = await startKernel([
      provider('a', [], done),
      stuck('b'),
      provider('c', [], done),
      stuck('d'),
    ]);
    const error = await rejection(kernel.stop());
    expect(error).toMatchObject({ code: 'KERNEL_STOP_FAILED' });
    expect(error.message).toBe(
      '2 plugin(s) did not stop cleanly:\n  d: undoing "x" failed: Error: stuck\n  b: undoing "x" failed: Error: stuck',
    );
    expect(done.slice(2)).toEqual(['stop c', 'stop a']);
  });

  it('twice is one stop', async () => {
    const done: string[] = [];
    const kernel = await startKernel([provider('a', [], done)]);
    const first = kernel.stop();
    expect(kernel.stop()).toBe(first);
    await first;
    await kernel.stop();
    expect(done).toEqual(['start a', 'stop a']);
  });

  it('a kernel that never started, or whose start failed, is no error', async () => {
    const idle = kernelWith([]);
    await idle.stop();
    expect(idle.state).toBe('stopped');
    const failed = kernelWith([plugin('p', { setup: () => Promise.reject(new Error('no')) })]);
    await rejection(failed.start());
    await failed.stop();
    expect(failed.state).toBe('failed');
  });

  it('comes by itself at the end of an `await using` block', async () => {
    const done: string[] = [];
    {
      await using kernel = kernelWith([provider('a', [], done)]);
      await kernel.start();
    }
    expect(done).toEqual(['start a', 'stop a']);
  });

  it('aborts the signal of each plugin before its first undo', async () => {
    const seen: boolean[] = [];
    const kernel = await startKernel([
      plugin('p', {
        setup: (ctx) => void ctx.effect('x', () => () => void seen.push(ctx.signal.aborted)),
      }),
    ]);
    await kernel.stop();
    expect(seen).toEqual([true]);
  });
});

describe('a stop during the start', () => {
  it('ends cleanly, although a setup hangs', async () => {
    const done: string[] = [];
    const hangs = deferred();
    const kernel = kernelWith([
      provider('a', [], done),
      plugin('hangs', {
        setup(ctx) {
          ctx.effect('half', () => () => void done.push('stop hangs'));
          hangs.resolve();
          return never();
        },
      }),
      provider('c', [], done),
    ]);
    const started = rejection(kernel.start());
    await hangs.promise;
    await kernel.stop();
    expect(await started).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    expect(kernel.state).toBe('stopped');
    expect(done).toEqual(['start a', 'stop hangs', 'stop a']);
    expect(states(kernel)).toEqual({ a: 'stopped', hangs: 'stopped', c: 'pending' });
  });

  it('ends cleanly between two plugins, also by one that is optional', async () => {
    const done: string[] = [];
    const stops = plugin('stops', { setup: () => void kernel.stop() });
    const kernel = kernelWith([
      provider('a', [], done),
      [stops, { optional: true }],
      provider('c', [], done),
    ]);
    expect(await rejection(kernel.start())).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    await kernel.stop();
    expect(kernel.state).toBe('stopped');
    expect(done).toEqual(['start a', 'stop a']);
  });

  it.each(['starting', 'ready'])('is possible as soon as the kernel says "%s"', async (state) => {
    const kernel = kernelWith([plugin('p')]);
    const stopped = deferred();
    kernel.bus.on('kernel:state', ({ to }) => {
      if (to === state) stopped.resolve(kernel.stop().then(() => expect(kernel.state).toBe('stopped')));
    });
    await kernel.start().catch(() => {});
    await stopped.promise;
    expect(kernel.state).toBe('stopped');
  });
});

describe('unloading', () => {
  it('takes dependents first, leaves the others alone, and leaves nothing behind', async () => {
    const done: string[] = [];
    const heard: string[] = [];
    const seen: PluginContext[] = [];
    const rich = provider('b', ['a'], done, {
      setup(ctx) {
        ctx.effect('mark', () => () => void done.push('stop b'));
        ctx.provide(B, 'b');
        ctx.addAgent(agent('bee'));
        ctx.registerTask(task('buzz'));
        ctx.bus.on('plugin:state', ({ plugin: id }) => void heard.push(id));
        ctx.onReady(() => {});
        ctx.onDrain(() => void heard.push('drain'));
      },
    });
    const kernel = await startKernel([
      provider('a', [], done),
      rich,
      provider('c', ['b'], done),
      plugin('watcher', { setup: (ctx) => void seen.push(ctx) }),
    ]);
    expect(report(kernel, 'b').effects).toEqual([
      'mark',
      'provide kernel.b',
      'agent bee',
      'task buzz',
      'on plugin:state',
      'onReady',
      'onDrain',
    ]);
    const [watcher] = seen;
    expect(watcher!.agents.find('bee')).toBeDefined();
    expect([...watcher!.tasks].map(({ name }) => name)).toEqual(['buzz']);

    await kernel.unload('b');
    expect(done.slice(2)).toEqual(['stop c', 'stop b']);
    expect(states(kernel)).toEqual({ a: 'active', c: 'stopped', watcher: 'active' });
    expect(report(kernel, 'c').effects).toEqual([]);
    expect([...watcher!.agents, ...watcher!.tasks]).toEqual([]);
    expect(() => kernel.get(B)).toThrow('no running plugin provides kernel.b');
    expect(kernel.get(A)).toBe('a');
    heard.length = 0;
    await kernel.stop();
    expect(heard).toEqual([]);
    expect(done.slice(4)).toEqual(['stop a']);
  });

  it('refuses what does not run, and says what does', async () => {
    const idle = kernelWith([plugin('p')]);
    await expect(idle.unload('p')).rejects.toMatchObject({ code: 'KERNEL_STATE' });
    const kernel = await startKernel([plugin('p'), plugin('q')]);
    await kernel.unload('p');
    for (const id of ['p', 'nobody'])
      await expect(kernel.unload(id)).rejects.toMatchObject({
        code: 'KERNEL_PLUGIN_UNKNOWN',
        details: { plugin: id, known: ['q'] },
      });
    await kernel.stop();
  });

  it('tells of an undo that failed, and the kernel goes on', async () => {
    const kernel = await startKernel([
      plugin('p', { setup: (ctx) => void ctx.effect('x', () => () => Promise.reject(new Error('no'))) }),
    ]);
    await expect(kernel.unload('p')).rejects.toMatchObject({ code: 'KERNEL_STOP_FAILED' });
    expect(kernel.state).toBe('ready');
    await kernel.stop();
  });

  it('is finished before what it uses begins to stop, whoever asks for that meanwhile', async () => {
    const done: string[] = [];
    const begun = deferred();
    const gate = deferred();
    const slow = provider('slow', ['a'], done, {
      setup(ctx) {
        ctx.provide(token('slow'), 'slow');
        ctx.effect('mark', () => async () => {
          begun.resolve();
          await gate.promise;
          done.push('stop slow');
        });
      },
    });
    const kernel = await startKernel([provider('z', [], done), provider('a', [], done), slow]);
    const asked = [kernel.unload('slow')];
    await begun.promise;
    asked.push(kernel.unload('a'), kernel.stop());
    // A turn in which the others could begin, if they did not wait.
    await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    await Promise.all(asked);
    expect(done.slice(2)).toEqual(['stop slow', 'stop a', 'stop z']);
  });
});

describe('any graph of plugins', () => {
  const graphs = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 8 });

  it('starts in one order, stops in its reverse, and unloads dependents before what they use', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.nat(), fc.infiniteStream(fc.nat()), async (all, chosen, random) => {
        const done: string[] = [];
        const uses = all.map((each, rank) =>
          rank === 0 ? [] : [...new Set(each.map((n) => String(n % rank)))],
        );
        const plugins = uses.map((each, rank) => provider(String(rank), each, done));
        const shuffled = plugins
          .map((each) => ({ each, key: random.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ each }) => each);
        const kernel = await startKernel(shuffled);
        const started = done.splice(0).map((line) => line.replace('start ', ''));
        for (const [rank, each] of uses.entries())
          for (const used of each) expect(started.indexOf(used)).toBeLessThan(started.indexOf(String(rank)));

        await kernel.unload(String(chosen % all.length));
        const unloaded = done.splice(0).map((line) => line.replace('stop ', ''));
        expect(unloaded.at(-1)).toBe(String(chosen % all.length));
        await kernel.stop();
        const stopped = done.map((line) => line.replace('stop ', ''));
        const reversed = [...started].reverse();
        expect(unloaded).toEqual(reversed.filter((id) => unloaded.includes(id)));
        expect(stopped).toEqual(reversed.filter((id) => !unloaded.includes(id)));
        expect(kernel.inspect().plugins.flatMap(({ effects }) => effects)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

describe('whose fault an error is', () => {
  const module = 'file:///srv/my%20plugins/one/index.js';
  const kernel = kernelWith([
    [plugin('one'), { module }],
    [plugin('two'), { module: 'file:///srv/my%20plugins/two.js' }],
    plugin('built in code'),
  ]);

  function thrownIn(...places: string[]): Error {
    const error = new Error('boom');
    error.stack = ['Error: boom', ...places.map((place) => `    at f (${place}:1:2)`)].join('\n');
    return error;
  }

  it.each([
    ['the module itself', thrownIn('node:fs', module), 'one'],
    ['another file of its folder', thrownIn('file:///srv/my%20plugins/one/lib/deep.js'), 'one'],
    ['a module of one file', thrownIn('file:///srv/my%20plugins/two.js'), 'two'],
    ['a CommonJS module, which stacks name by path', thrownIn('/srv/my plugins/one/lib.cjs'), 'one'],
    ['the plugin nearest to the throw', thrownIn('file:///srv/my%20plugins/two.js', module), 'two'],
    ['nobody it knows', thrownIn('file:///srv/my%20plugins/three.js', 'node:fs'), undefined],
    ['an error without a stack', Object.assign(new Error('x'), { stack: undefined }), undefined],
    ['no error at all', 'text', undefined],
  ])('is told by %s', (_, error, expected) => {
    expect(kernel.pluginOf(error)).toBe(expected);
  });

  it('is told by the causes of the error, too', () => {
    const outer = new Error('outer', { cause: new Error('middle', { cause: thrownIn(module) }) });
    expect(kernel.pluginOf(outer)).toBe('one');
  });

  it('is not looked for forever in causes that go in a circle', () => {
    const [a, b] = [new Error('a'), new Error('b')];
    a.cause = b;
    b.cause = a;
    expect(kernel.pluginOf(a)).toBeUndefined();
  });

  it('is in every log line about it, whoever writes that', async () => {
    const { logger, lines } = recordingLogger();
    const error = thrownIn(module);
    const fails = plugin('one', {
      setup(ctx) {
        ctx.bus.on('kernel:state', () => {
          throw error;
        });
      },
    });
    const listening = kernelWith([[fails, { module }]], { logger });
    await listening.start();
    await listening.stop();
    expect(lines[0]).toMatchObject({
      level: 'error',
      msg: 'an event listener failed',
      event: 'kernel:state',
      err: { message: 'boom', plugin: 'one' },
    });
  });
});

describe('what a plugin sees of the kernel', () => {
  it('is a logger with its name, and a report on everybody', async () => {
    const { logger, lines } = recordingLogger();
    const kernel = await startKernel(
      [
        plugin('one', {
          provides: [A],
          setup(ctx) {
            ctx.provide(A, 'a');
            ctx.onReady(() => ctx.logger.info({ report: ctx.inspect() }, 'hello'));
          },
        }),
      ],
      { logger },
    );
    expect(lines.find(({ msg }) => msg === 'hello')).toMatchObject({
      plugin: 'one',
      report: {
        state: 'starting',
        plugins: [
          {
            id: 'one',
            name: 'one',
            state: 'active',
            optional: false,
            setupMs: expect.any(Number),
            provides: ['kernel.a'],
            effects: ['provide kernel.a', 'onReady'],
          },
        ],
      },
    });
    await kernel.stop();
  });

  it('is a bus whose listeners leave with the plugin, and series that reach the caller', async () => {
    const seen: string[] = [];
    const contexts: PluginContext[] = [];
    const kernel = await startKernel([
      plugin('p', {
        setup(ctx) {
          contexts.push(ctx);
          ctx.bus.on('plugin:state', ({ plugin: id }) => void seen.push(id));
        },
      }),
      plugin('q', { setup: (ctx) => void contexts.push(ctx) }),
    ]);
    const [, q] = contexts;
    seen.length = 0;
    const event = { plugin: 'made up', from: 'a', to: 'b' };
    q!.bus.emit('plugin:state', event);
    await q!.bus.emitSeries('plugin:state', event);
    expect(seen).toEqual(['made up', 'made up']);
    await kernel.unload('p');
    seen.length = 0;
    q!.bus.emit('plugin:state', event);
    expect(seen).toEqual([]);
    await kernel.stop();
  });

  it('is a bus whose watchers leave with the plugin', async () => {
    const seen: string[] = [];
    const watches = plugin('p', {
      setup(ctx) {
        ctx.bus.watch(({ events }) => void seen.push(...events.map(({ name }) => name)));
      },
    });
    const kernel = await startKernel([watches]);
    await nextTurn();
    expect(seen).toEqual(['plugin:state', 'kernel:state']);
    expect(kernel.inspect().plugins[0]?.effects).toEqual(['watch']);
    await kernel.unload('p');
    seen.length = 0;
    kernel.bus.emit('kernel:state', { from: 'a', to: 'b' });
    await nextTurn();
    expect(seen).toEqual([]);
    await kernel.stop();
  });

  it('is signals that any number of things may listen to', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const many = Array.from({ length: 20 }, (_, index) =>
      plugin(String(index), {
        setup(ctx) {
          for (let count = 0; count < 20; count++) ctx.signal.addEventListener('abort', () => {});
          ctx.onDrain((deadline) => deadline.addEventListener('abort', () => {}));
        },
      }),
    );
    const kernel = await startKernel(many);
    await kernel.stop();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

describe('a config whose variable was not set', () => {
  it('is never handed to a plugin, although nothing more is said of it', async () => {
    let started = false;
    const needy = plugin('needy', {
      config: z.strictObject({ key: z.string() }),
      setup: () => {
        started = true;
      },
    });
    const origin = { prefix: () => '', variable: () => 'KEY', unset: () => true };
    const kernel = kernelWith([[needy, { config: {}, origin }]]);
    await expect(kernel.start()).rejects.toMatchObject({
      code: 'KERNEL_CONFIG_INVALID',
      details: { issues: [] },
    });
    expect(started).toBe(false);
  });
});
