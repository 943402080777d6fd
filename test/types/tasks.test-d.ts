import { z } from 'zod';
import { BaseTask, definePlugin, TaskEngine, type TaskInput, type TaskOutput } from '#kernel';

declare module '../../kernel/contracts/task.js' {
  interface TaskTypes {
    'text:count': { readonly input: { readonly text: string }; readonly output: number };
  }
}

/** Compiles only if the two are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(..._: Same<A, B> extends true ? [] : [never]): void => {};

same<TaskInput<'text:count'>, { readonly text: string }>();
same<TaskOutput<'text:count'>, number>();
same<TaskInput<'nobody:knows'>, unknown>();

class Count extends BaseTask<{ readonly text: string }, number> {
  readonly name = 'text:count';
  run({ text }: { readonly text: string }): number {
    return text.length;
  }
}

export default definePlugin({
  name: 'typed',
  apiVersion: 1,
  requires: { tasks: TaskEngine },
  async setup(ctx, { tasks }) {
    ctx.registerTask(Count);
    ctx.registerTask({ name: 'text:count', lane: 'main', run: async ({ text }) => text.length });
    // @ts-expect-error its output is a number
    ctx.registerTask({ name: 'text:count', lane: 'main', run: async ({ text }) => text });
    ctx.registerTask({
      name: 'other:thing',
      lane: 'main',
      input: z.object({ n: z.number() }),
      run: ({ n }) => n + 1,
    });
    ctx.registerTask({ name: 'cpu:heavy', lane: 'worker', module: new URL('file:///x.js') });
    // @ts-expect-error a task of the worker lane is a module
    ctx.registerTask({ name: 'cpu:heavy', lane: 'worker', run: () => 1 });

    same<typeof output, Promise<number>>();
    const output = (await tasks.submit('text:count', { text: 'x' })).result;
    // @ts-expect-error not its input
    await tasks.submit('text:count', { words: 'x' });
    same<typeof unknown, Promise<unknown>>();
    const unknown = (await tasks.submit('nobody:knows', 5)).result;
    return void [output, unknown];
  },
});
