import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Agent, Plugin, PluginContext } from '#kernel';
import type { Wanted } from '../../kernel/contracts/kernel-options.js';
import type { Kernel } from '../../kernel/kernel.js';
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

const token = (id: string) => createToken<string>(`apply.${id}`);
const config = z.strictObject({
  port: z.int().default(80),
  size: z.int().default(1),
  note: z.string().optional(),
});

/** Provides a service under its own name, takes `size` and `note` live, and writes down what happens to it. */
function part(
  name: string,
  uses: readonly string[],
  done: string[],
  overrides: Partial<Plugin> = {},
): Plugin {
  return plugin(name, {
    config,
    live: ['size', 'note'],
    requires: Object.fromEntries(uses.map((use) => [use, token(use)])),
    provides: [token(name)],
    setup(ctx: PluginContext<z.infer<typeof config>>) {
      done.push(`+${name}`);
      ctx.effect('mark', () => () => void done.push(`-${name}`));
      ctx.provide(token(name), name);
      ctx.onConfig(() => void done.push(`${name}=${ctx.config.size}`));
    },
    ...overrides,
  });
}

function bee(name: string): Agent {
  return { name, async *generateResponseStream() {} };
}

const planned = async (kernel: Kernel, wanted: readonly Wanted[]) =>
  (await kernel.apply(wanted, { dryRun: true })).map(({ plugin, action, keys }) =>
    [action, plugin, ...keys].join(' '),
  );

describe('a plan', () => {
  it('says what each plugin does, and does nothing', async () => {
    const done: string[] = [];
    const [a, b, c, d] = [
      part('a', [], done),
      part('b', ['a'], done),
      part('c', [], done),
      part('d', [], done),
    ];
    const agent = plugin('e', { config, setup: (ctx) => void ctx.addAgent(bee('e')) });
    const kernel = await startKernel([a, b, c, d, agent]);
    const before = kernel.inspect();
    done.length = 0;
    expect(await planned(kernel, [[a], [b], [c], [d], [agent]])).toEqual([]);
    expect(await planned(kernel, [[a, { config: { port: 80 } }], [b], [c], [d], [agent]])).toEqual([]);
    const wanted: Wanted[] = [
      [a, { config: { port: 1, size: 2 } }],
      [b],
      [c, { config: { size: 2, note: 'x' } }],
      [agent, { config: { port: 1 } }],
      [part('f', ['a'], done)],
    ];
    expect(await planned(kernel, wanted)).toEqual([
      'stop d',
      'restart a port size',
      'restart b',
      'update c size note',
      'replace e port',
      'start f',
    ]);
    expect(done).toEqual([]);
    expect(kernel.inspect()).toEqual(before);
    await kernel.stop();
  });

  it('restarts what would use a new service, or one that is gone', async () => {
    const done: string[] = [];
    const user = part('user', [], done, { optional: { a: token('a') } });
    const kernel = await startKernel([user]);
    expect(await planned(kernel, [[part('a', [], done)], [user]])).toEqual(['start a', 'restart user']);
    await kernel.load(part('a', [], done));
    expect(await planned(kernel, [[user]])).toEqual(['stop a', 'restart user']);
    await kernel.stop();
  });

  it.each<[string, readonly Wanted[], string]>([
    ['a wrong config', [[part('a', [], []), { config: { port: 'x' } }]], 'KERNEL_CONFIG_INVALID'],
    ['a missing requirement', [[part('b', ['a'], [])]], 'KERNEL_DEPENDENCY_MISSING'],
    ['a circle', [[part('a', ['b'], [])], [part('b', ['a'], [])]], 'KERNEL_DEPENDENCY_CYCLE'],
    ['two of one id', [[part('a', [], [])], [part('a', [], [])]], 'KERNEL_SERVICE_CONFLICT'],
    ['no plugin', [[{ name: 'x' } as Plugin]], 'KERNEL_PLUGIN_INVALID'],
  ])('is refused, as its change is, for %s', async (_, wanted, code) => {
    const kernel = await startKernel([part('a', [], [])]);
    const before = kernel.inspect();
    for (const dryRun of [true, false])
      expect(await rejection(kernel.apply(wanted, { dryRun }))).toMatchObject({ code });
    expect(kernel.inspect()).toEqual(before);
    await kernel.stop();
  });

  it('needs a running kernel', async () => {
    const kernel = kernelWith([]);
    await expect(kernel.apply([])).rejects.toMatchObject({
      message: 'cannot change the plugins while the kernel is idle',
    });
  });
});

describe('a change', () => {
  it('stops first, then starts, then updates, and leaves the others alone', async () => {
    const done: string[] = [];
    const [a, b, c, d] = [
      part('a', [], done),
      part('b', ['a'], done),
      part('c', [], done),
      part('d', [], done),
    ];
    const kernel = await startKernel([a, b, c, d]);
    done.length = 0;
    await kernel.apply([
      [a, { config: { port: 1 } }],
      [b],
      [c, { config: { size: 5 } }],
      [part('f', ['b'], done)],
    ]);
    expect(done).toEqual(['-d', '-b', '-a', '+a', '+b', '+f', 'c=5']);
    expect(kernel.inspect().plugins.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'a active',
      'b active',
      'c active',
      'f active',
    ]);
    expect(kernel.state).toBe('ready');
    await kernel.stop();
  });

  it('gives a plugin other values in the object that it holds', async () => {
    const held: object[] = [];
    const p = plugin('p', { config, live: true, setup: (ctx) => void held.push(ctx.config as object) });
    const kernel = await startKernel([[p, { config: { note: 'x' } }]]);
    await kernel.apply([[p, { config: { size: 2 } }]]);
    expect(held).toEqual([{ port: 80, size: 2 }]);
    expect(await planned(kernel, [[p, { config: { size: 2 } }]])).toEqual([]);
    await kernel.apply([[p, { config: { size: 2, note: 'y' } }]]);
    expect(held).toEqual([{ port: 80, size: 2, note: 'y' }]);
    await kernel.stop();
  });

  it('undoes an update whose hook throws, and all others with it', async () => {
    const seen: string[] = [];
    const hooked = (name: string) =>
      plugin(name, {
        config,
        live: true,
        setup(ctx: PluginContext<z.infer<typeof config>>) {
          ctx.onConfig(() => {
            seen.push(`${name}=${ctx.config.size}`);
            if (ctx.config.size === 13) throw new Error('bad luck');
          });
        },
      });
    const [a, b] = [hooked('a'), hooked('b')];
    const kernel = await startKernel([a, b]);
    const error = await rejection(
      kernel.apply([[a, { config: { size: 2 } }], [b, { config: { size: 13 } }], [part('c', [], seen)]]),
    );
    expect(error.message).toBe('plugin "b" failed during config: bad luck');
    expect(seen).toEqual(['+c', 'a=2', 'b=13', '-c', 'b=1', 'a=1']);
    expect(kernel.inspect().plugins.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(kernel.state).toBe('ready');
    await kernel.stop();
  });

  it('lets a stop through, and does not bring back what it has stopped', async () => {
    const done: string[] = [];
    const begun = deferred();
    const hangs = part('x', [], done, {
      setup() {
        begun.resolve();
        return never();
      },
    });
    const { logger, lines } = recordingLogger();
    const a = part('a', [], done);
    const kernel = await startKernel([a], { logger });
    const change = rejection(kernel.apply([[a, { config: { port: 1 } }], [hangs]]));
    await begun.promise;
    await kernel.stop();
    expect(await change).toMatchObject({ code: 'KERNEL_START_ABORTED' });
    expect(done).toEqual(['+a', '-a', '+a', '-a']);
    expect(lines).toEqual([]);
    expect(kernel.state).toBe('stopped');
  });

  it('of any plugins to any others leads to what a start would, or back', async () => {
    const names = ['0', '1', '2', '3', '4'];
    const one = fc.record({
      present: fc.boolean(),
      port: fc.integer({ min: 1, max: 2 }),
      size: fc.integer({ min: 1, max: 2 }),
      fails: fc.constantFrom('', '', '', '', 'setup', 'ready', 'config'),
    });
    const lists = fc.array(fc.tuple(one, one, one, one, one), { minLength: 2, maxLength: 4 });
    const uses = fc.array(fc.array(fc.nat(), { maxLength: 2 }), { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        uses,
        fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
        lists,
        async (graph, optional, all) => {
          const failing = new Map<string, string>();
          const configs = new Map<string, unknown>();
          const plugins = names.map((name, rank) => {
            const used =
              rank === 0 ? [] : [...new Set((graph[rank] as number[]).map((n) => String(n % rank)))];
            const tokens = Object.fromEntries(used.map((use) => [use, token(use)]));
            const fail = (phase: string) => {
              if (failing.get(name) !== phase) return;
              // On their way back all work.
              failing.clear();
              throw new Error(phase);
            };
            return part(name, [], [], {
              ...(optional[rank] ? { requires: {}, optional: tokens } : { requires: tokens }),
              setup(ctx: PluginContext, services: object) {
                const used = Object.keys(services).sort();
                const hold = () => void configs.set(name, { ...(ctx.config as object), used });
                hold();
                ctx.provide(token(name), name);
                ctx.effect('held', () => () => void configs.delete(name));
                fail('setup');
                ctx.onReady(() => fail('ready'));
                ctx.onConfig(() => {
                  hold();
                  fail('config');
                });
              },
            });
          });
          const wantedOf = (list: (typeof all)[number]): Wanted[] =>
            list.flatMap(({ present, port, size }, at) =>
              present ? [[plugins[at] as Plugin, { config: { port, size } }] as const] : [],
            );
          const look = (kernel: Kernel) => ({
            state: kernel.state,
            plugins: new Map(
              kernel.inspect().plugins.map(({ id, state, effects }) => [id, { state, effects }]),
            ),
            configs: new Map(configs),
          });
          const fresh = async (wanted: readonly Wanted[]) => {
            configs.clear();
            const kernel = kernelWith([]);
            for (const [each, options] of wanted) kernel.use(each, options);
            const error = await kernel.start().catch((error: unknown) => error);
            const seen = look(kernel);
            await kernel.stop();
            configs.clear();
            return error ? undefined : seen;
          };
          const kernel = await startKernel([]);
          let before = look(kernel);
          for (const list of all) {
            const wanted = wantedOf(list);
            failing.clear();
            const held = new Map(configs);
            const expected = await fresh(wanted);
            for (const [name, value] of held) configs.set(name, value);
            for (const [at, { fails }] of list.entries()) failing.set(names[at] as string, fails);
            const error = await kernel.apply(wanted).catch((error: unknown) => error);
            failing.clear();
            const now = look(kernel);
            if (error instanceof Error) expect(now).toEqual(before);
            else expect(now).toEqual(expected);
            before = now;
          }
          await kernel.stop();
          expect(configs.size).toBe(0);
        },
      ),
      { numRuns: times(150) },
    );
  });

  it('leaves nothing behind after two hundred', async () => {
    const done: string[] = [];
    const rich = plugin('rich', {
      config,
      live: ['size'],
      setup(ctx) {
        ctx.addAgent(bee('bee'));
        ctx.every('tick', 60_000, () => {});
        ctx.onConfig(() => {});
        ctx.signal.addEventListener('abort', () => {});
      },
    });
    const base = part('base', [], done);
    const kernel = await startKernel([base, rich]);
    const before = kernel.inspect().plugins.map(({ id, effects }) => [id, effects]);
    const leaks = leakCheck();
    for (let round = 1; round <= 200; round++)
      await kernel.apply([
        [base, { config: { port: (round % 2) + 1, size: round } }],
        [rich, { config: { port: (round % 3) + 1, size: round } }],
      ]);
    await leaks.settled();
    expect(kernel.inspect().plugins.map(({ id, effects }) => [id, effects])).toEqual(before);
    expect(kernel.leftBehind).toEqual([]);
    await kernel.stop();
  });
});

describe('a plugin with an agent that is replaced', () => {
  const agentPlugin = (agent: Agent, done: string[], overrides: Partial<Plugin> = {}) =>
    plugin('hive', {
      setup(ctx) {
        ctx.effect('connections', () => () => void done.push('closed'));
        ctx.addAgent(agent);
        ctx.signal.addEventListener('abort', () => void done.push('aborted'));
      },
      ...overrides,
    });

  async function start(done: string[]) {
    const answers = deferred();
    let ctx: PluginContext | undefined;
    const old = bee('bee');
    const watcher = plugin('watcher', {
      setup(context) {
        ctx = context;
        context.agents.watch({
          added: (agent) => void done.push(agent === old ? 'old added' : 'new added'),
          removed: (agent) => {
            done.push(agent === old ? 'old removed' : 'new removed');
            return agent === old ? answers.promise : undefined;
          },
        });
      },
    });
    const plugins = [watcher, agentPlugin(old, done)] as const;
    const kernel = await startKernel(plugins);
    return { kernel, watcher, old, answers, find: () => ctx?.agents.find('bee') };
  }

  it('answers on with its old agent, while the new one has the name at once', async () => {
    const done: string[] = [];
    const { kernel, watcher, answers, find } = await start(done);
    const next = bee('bee');
    const change = await kernel.apply([[watcher], [agentPlugin(next, done)]]);
    expect(change).toEqual([{ plugin: 'hive', action: 'replace', keys: [] }]);
    expect(find()).toBe(next);
    expect(done).toEqual(['old added', 'new added', 'old removed']);
    expect(kernel.state).toBe('ready');
    answers.resolve();
    await expect.poll(() => done).toContain('closed');
    expect(done.slice(3)).toEqual(['aborted', 'closed']);
    expect(find()).toBe(next);
    await kernel.stop();
  });

  it('keeps its old one, which has heard of nothing, when the new one fails', async () => {
    const done: string[] = [];
    const { kernel, watcher, old, answers, find } = await start(done);
    const fails = agentPlugin(bee('bee'), done, {
      setup(ctx) {
        ctx.addAgent(bee('bee'));
        throw new Error('no');
      },
    });
    await rejection(kernel.apply([[watcher], [fails]]));
    expect(find()).toBe(old);
    expect(done).toEqual(['old added', 'new added', 'new removed']);
    expect(kernel.inspect().plugins.map(({ id, state }) => [id, state])).toEqual([
      ['watcher', 'active'],
      ['hive', 'active'],
    ]);
    answers.resolve();
    await kernel.stop();
  });

  it('is waited for by a stop', async () => {
    const done: string[] = [];
    const { kernel, watcher, answers } = await start(done);
    await kernel.apply([[watcher], [agentPlugin(bee('bee'), done)]]);
    const stopped = kernel.stop().then(() => void done.push('stopped'));
    answers.resolve();
    await stopped;
    expect(done.filter((each) => each === 'closed')).toHaveLength(2);
    expect(done.at(-1)).toBe('stopped');
    expect(kernel.leftBehind).toEqual([]);
  });
});
