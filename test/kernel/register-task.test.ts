import { inject, injectable } from 'tsyringe';
import { describe, expect, it } from 'vitest';
import { BaseTask, createToken, type PluginContext, type TaskDefinition } from '#kernel';
import { Registry } from '../../kernel/registry.js';
import { plugin, rejection, startKernel } from '../support/kernel.js';

interface Clock {
  now(): number;
}
const Clock = createToken<Clock>('test.clock');

@injectable()
class Tell extends BaseTask<string, string> {
  readonly name = 'time:tell';
  readonly #clock: Clock;

  constructor(@inject(Clock) clock: Clock) {
    super();
    this.#clock = clock;
  }

  run(name: string): string {
    return `${name}: ${this.#clock.now()}`;
  }
}

const valid: TaskDefinition = { name: 'a:b', lane: 'main', run: () => 1 };

/** Lets one plugin register, and gives what it was rejected with. */
const refused = (task: unknown) =>
  rejection(
    startKernel([plugin('p', { setup: (ctx: PluginContext) => void ctx.registerTask(task as never) })]),
  );

describe('registerTask', () => {
  it('takes a class and builds it with what it asks for', async () => {
    let tasks: PluginContext['tasks'] | undefined;
    const provider = plugin('clock', {
      provides: [Clock],
      setup: (ctx: PluginContext) => void ctx.provide(Clock, { now: () => 12 }),
    });
    const kernel = await startKernel([
      provider,
      plugin('teller', {
        requires: { clock: Clock },
        setup(ctx: PluginContext) {
          ctx.registerTask(Tell);
          tasks = ctx.tasks;
        },
      }),
    ]);
    const task = tasks?.find('time:tell') as Tell;
    expect(task.run('it is')).toBe('it is: 12');
    expect(kernel.inspect().plugins[1]?.effects).toEqual(['task time:tell']);
    await kernel.unload('teller');
    expect(tasks?.find('time:tell')).toBeUndefined();
    await kernel.stop();
  });

  it.each([
    ['nothing', undefined, 'neither an object nor a class'],
    ['a name with a blank', { ...valid, name: 'a b' }, 'its name is not'],
    ['no lane', { name: 'a:b', run: () => 1 }, 'it needs lane'],
    ['a module that is a text', { name: 'a:b', lane: 'worker', module: './a.js' }, 'it needs lane'],
    ['no function', { name: 'a:b', lane: 'main' }, '"run" is not a function'],
    ['an odd priority', { ...valid, priority: 'asap' }, '"priority" is none of low, normal, high, urgent'],
    ['an odd number', { ...valid, concurrency: 0 }, 'concurrency: expected integer >= 1'],
  ])('refuses %s and says why', async (_, task, why) => {
    expect((await refused(task)).cause).toMatchObject({
      code: 'KERNEL_TASK_INVALID',
      message: expect.stringContaining(why),
    });
  });
});

describe('a watcher of a registry', () => {
  const item = (name: string) => ({ name });

  it('hears of what is there, of what comes and of what goes', async () => {
    const registry = new Registry('thing');
    const heard: string[] = [];
    registry.add(item('a'), 'p');
    const leave = registry.watch({
      added: ({ name }) => void heard.push(`+${name}`),
      removed: ({ name }) => void heard.push(`-${name}`),
    });
    const undo = registry.add(item('b'), 'p');
    await undo();
    await undo();
    await leave();
    registry.add(item('c'), 'p');
    expect(heard).toEqual(['+a', '+b', '-b']);
  });

  it('may refuse what comes, and is waited for when something goes', async () => {
    const registry = new Registry('thing');
    let done = false;
    registry.watch({
      added: ({ name }) => {
        if (name === 'bad') throw new Error('not this one');
      },
      removed: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        done = true;
      },
    });
    expect(() => registry.add(item('bad'), 'p')).toThrow('not this one');
    expect(registry.find('bad')).toBeUndefined();
    await registry.add(item('good'), 'p')();
    expect(done).toBe(true);
  });
});
