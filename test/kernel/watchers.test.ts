import { describe, expect, it } from 'vitest';
import type { PluginContext, ReadonlyRegistry } from '#kernel';
import type { Watcher } from '../../kernel/contracts/registry.js';
import { Registry } from '../../kernel/registry.js';
import { deferred, kernelWith, plugin, rejection, startKernel } from '../support/kernel.js';

interface Thing {
  readonly name: string;
}
const a: Thing = { name: 'a' };
const no = (): never => {
  throw new Error('no');
};

/** Three watchers, some of which do something else than to listen. */
function watched(odd: readonly Partial<Watcher<Thing>>[]) {
  const heard: string[] = [];
  const failures: unknown[] = [];
  const registry = new Registry<Thing>('thing', (error) => void failures.push(error));
  const undos = odd.map((overrides, index) =>
    registry.watch({
      added: (item) => {
        overrides.added?.(item);
        heard.push(`+${item.name}${index}`);
      },
      removed: (item) => {
        heard.push(`-${item.name}${index}`);
        return overrides.removed?.(item);
      },
    }),
  );
  return { registry, heard, failures, undos };
}

describe('an item that a watcher refuses', () => {
  it.each<readonly [string, readonly Partial<Watcher<Thing>>[], readonly string[], number]>([
    ['the first', [{ added: no }, {}, {}], [], 0],
    ['the second', [{}, { added: no }, {}], ['+a0', '-a0'], 0],
    ['the last', [{}, {}, { added: no }], ['+a0', '+a1', '-a1', '-a0'], 0],
    ['the only one', [{ added: no }], [], 0],
    ['two of them', [{}, { added: no }, { added: no }], ['+a0', '-a0'], 0],
    [
      'the last, and one cannot take that back',
      [{}, { removed: no }, { added: no }],
      ['+a0', '+a1', '-a1', '-a0'],
      1,
    ],
    [
      'the last, and one cannot take that back later',
      [{}, { removed: () => Promise.reject(new Error('no')) }, { added: no }],
      ['+a0', '+a1', '-a1', '-a0'],
      1,
    ],
  ])('is nowhere, and those who had taken it are told: %s', async (_, odd, told, failed) => {
    const { registry, heard, failures, undos } = watched(odd);
    expect(() => registry.add(a, 'p')).toThrow('no');
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual(told);
    expect(failures).toHaveLength(failed);
    expect([registry.find('a'), [...registry]]).toEqual([undefined, []]);
    for (const undo of undos) void undo();
    await registry.add(a, 'q')();
  });

  it('is not told to whoever watches no more', async () => {
    const { registry, heard, undos } = watched([{}, { added: () => void undos[0]?.() }, { added: no }]);
    expect(() => registry.add(a, 'p')).toThrow('no');
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual(['+a0', '+a1', '-a1']);
  });

  it('fails the plugin that adds it, and is found by no other one', async () => {
    const heard: string[] = [];
    let agents: ReadonlyRegistry<Thing> | undefined;
    const watcher = (name: string, added: (item: Thing) => void) =>
      plugin(name, {
        setup(ctx: PluginContext) {
          agents = ctx.agents;
          ctx.agents.watch({ added, removed: (item) => void heard.push(`-${item.name}`) });
        },
      });
    const kernel = await startKernel([
      watcher('takes', (item) => void heard.push(`+${item.name}`)),
      watcher('refuses', no),
    ]);
    const agent = { name: 'bee', async *generateResponseStream() {} };
    const bee = plugin('bee', { setup: (ctx: PluginContext) => void ctx.addAgent(agent) });
    expect(await rejection(kernel.load(bee))).toMatchObject({ code: 'KERNEL_PLUGIN_FAILED' });
    expect([heard, [...(agents ?? [])]]).toEqual([['+bee', '-bee'], []]);
    expect(kernel.inspect().plugins.map(({ id }) => id)).toEqual(['takes', 'refuses']);
    await kernel.stop();
  });
});

describe('an item that is taken away', () => {
  const later = () => Promise.reject(new Error('later'));
  it.each<readonly [string, readonly Partial<Watcher<Thing>>[], string | undefined]>([
    ['and all take that well', [{}, {}, {}], undefined],
    ['and the first throws', [{ removed: no }, {}, {}], 'no'],
    ['and one fails later', [{}, { removed: later }, {}], 'later'],
    ['and two fail', [{ removed: no }, { removed: later }, {}], 'no; later'],
  ])('is told to all watchers: %s', async (_, odd, why) => {
    const { registry, heard } = watched(odd);
    const undo = registry.add(a, 'p');
    heard.length = 0;
    const failure = await Promise.resolve(undo()).then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(failure).toBe(why);
    expect(heard).toEqual(['-a0', '-a1', '-a2']);
    expect([...registry]).toEqual([]);
  });
});

describe.each(['agents', 'tasks'] as const)('ctx.%s', (kind) => {
  const add = (name: string) =>
    plugin(`adds-${name}`, {
      setup(ctx: PluginContext) {
        if (kind === 'tasks') ctx.registerTask({ name, lane: 'main', run: () => 1 } as never);
        else ctx.addAgent({ name, async *generateResponseStream() {} });
      },
    });

  it('lets nobody add, replace or take away', async () => {
    let seen: ReadonlyRegistry<Thing> | undefined;
    const look = plugin('looks', {
      setup(ctx: PluginContext) {
        seen = ctx[kind];
      },
    });
    const kernel = await startKernel([add('x'), look]);
    const view = seen as unknown as Record<PropertyKey, unknown>;
    expect(Reflect.ownKeys(view)).toEqual(['find', 'watch', Symbol.iterator]);
    expect(Object.getPrototypeOf(view)).toBe(Object.prototype);
    for (const key of ['add', '#items', 'find', 'watch', 'name'])
      expect(
        Reflect.set(view, key, () => {}),
        key,
      ).toBe(false);
    for (const member of Object.values(view))
      expect(Reflect.ownKeys(member as object)).not.toContain('prototype');
    expect(seen?.find('x')?.name).toBe('x');
    expect([...(seen ?? [])].map(({ name }) => name)).toEqual(['x']);
    await kernel.stop();
  });

  it('is watched as long as the plugin runs, and no longer', async () => {
    const heard: string[] = [];
    let view: ReadonlyRegistry<Thing> | undefined;
    const watcher: Watcher<Thing> = {
      added: ({ name }) => void heard.push(`+${name}`),
      removed: ({ name }) => void heard.push(`-${name}`),
    };
    const watches = plugin('watches', {
      setup(ctx: PluginContext) {
        view = ctx[kind];
        view.watch(watcher);
      },
    });
    const kernel = await startKernel([watches, add('x')]);
    expect(kernel.inspect().plugins[0]?.effects).toEqual([`watch ${kind}`]);
    await kernel.unload('watches');
    await kernel.unload('adds-x');
    await kernel.load(add('y'));
    expect(heard).toEqual(['+x']);
    expect(view?.find('y')?.name).toBe('y');
    expect(() => view?.watch(watcher)).toThrow(expect.objectContaining({ code: 'KERNEL_SCOPE_CLOSED' }));
    await kernel.stop();
  });

  it('is not watched by a plugin whose setup failed, nor by an older version of one', async () => {
    const heard: string[] = [];
    const watches = (version: string, fails = false) =>
      plugin('watches', {
        setup(ctx: PluginContext) {
          ctx[kind].watch({ added: ({ name }) => void heard.push(`${version}+${name}`), removed: () => {} });
          if (fails) no();
        },
      });
    const kernel = await startKernel([watches('old')]);
    await kernel.reload(watches('new'));
    await rejection(kernel.reload(watches('broken', true)));
    await kernel.load(add('x'));
    expect(heard).toEqual(['new+x']);
    await kernel.stop();
  });

  it('may be left early', async () => {
    const heard: string[] = [];
    const watches = plugin('watches', {
      setup(ctx: PluginContext) {
        const undo = ctx[kind].watch({ added: ({ name }) => void heard.push(name), removed: () => {} });
        void undo();
        void undo();
      },
    });
    const kernel = await startKernel([watches, add('x')]);
    expect([heard, kernel.inspect().plugins[0]?.effects]).toEqual([[], []]);
    await kernel.stop();
  });
});

describe('an unloaded plugin', () => {
  const waits = deferred();
  it.each<readonly [string, (ctx: PluginContext) => void]>([
    ['that did nothing', () => {}],
    ['that did much', (ctx) => void ctx.effect('timer', () => () => {})],
    ['whose undo failed', (ctx) => void ctx.effect('x', () => no)],
    ['whose undo hangs', (ctx) => void ctx.effect('x', () => () => waits.promise)],
  ])('is in no report: one %s', async (_, setup) => {
    const kernel = kernelWith([plugin('stays'), plugin('goes', { setup })], { pluginTimeoutMs: 50 });
    await kernel.start();
    const states = () => kernel.inspect().plugins.map(({ id, state }) => `${id} ${state}`);
    const gone = kernel.unload('goes').catch(() => {});
    expect(await Promise.all([gone, rejection(kernel.unload('goes'))])).toMatchObject([
      undefined,
      { code: 'KERNEL_PLUGIN_UNKNOWN', details: { known: ['stays'] } },
    ]);
    expect(states()).toEqual(['stays active']);
    expect(kernel.state).toBe('ready');
    await kernel.load(plugin('goes'));
    expect(states()).toEqual(['stays active', 'goes active']);
    await kernel.stop();
  });

  it('is in the report while it stops', async () => {
    const begun = deferred();
    const gate = deferred();
    const setup = (ctx: PluginContext) =>
      void ctx.effect('x', () => () => {
        begun.resolve();
        return gate.promise;
      });
    const kernel = await startKernel([plugin('goes', { setup })]);
    const gone = kernel.unload('goes');
    await begun.promise;
    expect(kernel.inspect().plugins).toMatchObject([{ id: 'goes', state: 'stopping' }]);
    gate.resolve();
    await gone;
    expect(kernel.inspect().plugins).toEqual([]);
    await kernel.stop();
  });
});
