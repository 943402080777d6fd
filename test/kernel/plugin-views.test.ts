import { describe, expect, it } from 'vitest';
import type { Undo } from '../../kernel/contracts/effect.js';
import type { PluginContext } from '../../kernel/contracts/plugin-context.js';
import { createToken } from '../../kernel/services.js';
import { plugin, rejection, startKernel } from '../support/kernel.js';

/** A service of a third party whose registrations have an undo. */
class Bell {
  readonly rung: string[] = [];
  readonly ringers = new Set<string>();

  add(name: string): Undo {
    this.ringers.add(name);
    return () => {
      this.rung.push(`-${name}`);
      this.ringers.delete(name);
    };
  }
}

const BellToken = createToken<Bell>('test.bell', { add: (name) => ({ kind: 'ringer', name }) });

const providesBell = (bell: Bell) =>
  plugin('bell', { provides: [BellToken], setup: (ctx) => void ctx.provide(BellToken, bell) });

type Setup = (ctx: PluginContext, bell: Bell) => void | Promise<void>;

const uses = (name: string, setup: Setup, how: 'requires' | 'optional' = 'requires') =>
  plugin(name, { [how]: { bell: BellToken }, setup: (ctx, { bell }) => setup(ctx, bell as Bell) });

describe('a plugin that keeps no undo', () => {
  it.each(['requires', 'optional'] as const)('leaves nothing behind in a service that it %s', async (how) => {
    const bell = new Bell();
    const kernel = await startKernel([
      providesBell(bell),
      uses('forgets', (_ctx, view) => void view.add('a'), how),
      uses('stays', (_ctx, view) => void view.add('b'), how),
    ]);
    expect([...bell.ringers]).toEqual(['a', 'b']);
    await kernel.unload('forgets');
    expect([...bell.ringers]).toEqual(['b']);
    await kernel.stop();
    expect([...bell.ringers]).toEqual([]);
  });

  it('leaves nothing behind when it fails in its setup, nor when a new version takes its place', async () => {
    const bell = new Bell();
    const kernel = await startKernel([providesBell(bell), uses('p', (_ctx, view) => void view.add('old'))]);
    await kernel.reload(uses('p', (_ctx, view) => void view.add('new')));
    expect([...bell.ringers]).toEqual(['new']);
    await rejection(
      kernel.load(
        uses('fails', (_ctx, view) => {
          view.add('half');
          throw new Error('no');
        }),
      ),
    );
    expect([...bell.ringers]).toEqual(['new']);
    await kernel.stop();
  });

  it('can add nothing once it has stopped', async () => {
    const bell = new Bell();
    let late: Bell | undefined;
    const kernel = await startKernel([
      providesBell(bell),
      uses('late', (_ctx, view) => {
        late = view;
      }),
    ]);
    await kernel.unload('late');
    expect(() => late?.add('x')).toThrow(expect.objectContaining({ code: 'KERNEL_SCOPE_CLOSED' }));
    expect([...bell.ringers]).toEqual([]);
    await kernel.stop();
  });
});

describe('a plugin that keeps its undo', () => {
  it('may call it early and twice; the plugin that stops does not undo it again', async () => {
    const bell = new Bell();
    const kernel = await startKernel([
      providesBell(bell),
      uses('early', (_ctx, view) => {
        const undo = view.add('a');
        void undo();
        void undo();
      }),
    ]);
    expect(kernel.inspect().plugins[1]?.effects).toEqual([]);
    await kernel.stop();
    expect(bell.rung).toEqual(['-a']);
  });

  it('may wrap the call in ctx.effect: it is one effect, under the label that it gave', async () => {
    const bell = new Bell();
    const kernel = await startKernel([
      providesBell(bell),
      uses('wraps', (ctx, view) => {
        const undo = ctx.effect('mine', () => view.add('a'));
        view.add('b');
        const early = ctx.effect('gone', () => view.add('c'));
        expect(ctx.effect('mine', () => undo)).toBe(undo);
        void early();
        void early();
      }),
    ]);
    expect(kernel.inspect().plugins[1]).toMatchObject({
      effects: ['mine', 'ringer b'],
      registrations: [
        { kind: 'ringer', name: 'a', label: 'mine' },
        { kind: 'ringer', name: 'b', label: 'ringer b' },
      ],
    });
    await kernel.stop();
    expect(bell.rung).toEqual(['-c', '-b', '-a']);
  });

  it('may undo several in one of its own', async () => {
    const bell = new Bell();
    const kernel = await startKernel([
      providesBell(bell),
      uses('both', (ctx, view) => {
        ctx.effect('both', () => {
          const undos = [view.add('a'), view.add('b')];
          return () => {
            for (const undo of undos) void undo();
          };
        });
      }),
    ]);
    await kernel.unload('both');
    expect(bell.rung).toEqual(['-a', '-b']);
    await kernel.stop();
  });
});

describe('a service with registrations', () => {
  it('may be frozen, and keeps its prototype and its accessors', async () => {
    const ringers = new Set<string>();
    const frozen = Object.freeze({
      get size() {
        return ringers.size;
      },
      add(name: string) {
        ringers.add(name);
        return () => void ringers.delete(name);
      },
    });
    let view: unknown;
    const kernel = await startKernel([
      providesBell(frozen as never),
      uses('adds', (_ctx, bell) => {
        bell.add('a');
        view = bell;
      }),
    ]);
    expect(view).toMatchObject({ size: 1 });
    expect('add' in (view as object)).toBe(true);
    await kernel.unload('adds');
    expect(ringers.size).toBe(0);
    await kernel.stop();
  });

  it('is itself where no plugin asks: in kernel.get and in a container', async () => {
    const bell = new Bell();
    const seen: unknown[] = [];
    const kernel = await startKernel([
      providesBell(bell),
      uses('looks', (ctx, view) => void seen.push(ctx.container.resolve(BellToken), view)),
    ]);
    expect(kernel.get(BellToken)).toBe(bell);
    expect(seen[0]).toBe(bell);
    expect(seen[1]).not.toBe(bell);
    await kernel.stop();
  });

  it('whose call fails, fails the plugin that made it', async () => {
    const bell = Object.assign(new Bell(), {
      add: () => {
        throw new Error('no bell');
      },
    });
    const error = await rejection(
      startKernel([providesBell(bell), uses('asks', (_ctx, view) => void view.add('a'))]),
    );
    expect(error).toMatchObject({
      code: 'KERNEL_PLUGIN_FAILED',
      message: 'plugin "asks" failed during setup: no bell',
    });
  });
});

describe('what a plugin does through its context', () => {
  it('is reported by kind and name, under the labels of before', async () => {
    const Thing = createToken<number>('test.thing');
    const kernel = await startKernel([
      plugin('p', {
        provides: [Thing],
        setup(ctx) {
          ctx.provide(Thing, 1);
          ctx.addAgent({ name: 'bee', async *generateResponseStream() {} });
          ctx.registerTask({ name: 'bee:buzz', lane: 'main', run: () => 1 } as never);
          ctx.bus.on('kernel:state', () => {});
          ctx.bus.watch(() => {});
          ctx.agents.watch({ added: () => {}, removed: () => {} });
          ctx.every('look', 60_000, () => {});
          ctx.onReady(() => {});
          ctx.effect('GET /x', () => () => {});
        },
      }),
    ]);
    const { effects, registrations } = kernel.inspect().plugins[0]!;
    expect(registrations.map(({ kind, name }) => [kind, name])).toEqual([
      ['service', 'test.thing'],
      ['agent', 'bee'],
      ['task', 'bee:buzz'],
      ['event', 'kernel:state'],
      ['watch', 'events'],
      ['watch', 'agents'],
      ['timer', 'look'],
      ['hook', 'onReady'],
      ['other', 'GET /x'],
    ]);
    expect(effects).toEqual([
      'provide test.thing',
      'agent bee',
      'task bee:buzz',
      'on kernel:state',
      'watch',
      'watch agents',
      'look every 60000 ms',
      'onReady',
      'GET /x',
    ]);
    expect(effects).toEqual(registrations.map(({ label }) => label));
    await kernel.stop();
  });
});
