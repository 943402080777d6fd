import { onTestFinished } from 'vitest';
import { TaskEngine } from '#kernel';
import type { TaskDefinition } from '../../kernel/index.js';
import tasksTinypool from '../../plugins/tasks-tinypool/index.js';
import toolsMcp from '../../plugins/tools-mcp/index.js';
import { plugin, recordingLogger, startKernel } from './kernel.js';
import { Waiters } from './waiters.js';

/** A kernel with the tools of MCP servers; it stops with the test. */
export async function runTools(servers: object, config: object = {}) {
  const { logger, lines } = recordingLogger();
  const waiters = new Waiters();
  const tasks = new Map<string, TaskDefinition>();
  const watcher = plugin('watcher', {
    setup(ctx) {
      ctx.tasks.watch({
        added: (task) => {
          tasks.set(task.name, task);
          waiters.check();
        },
        removed: (task) => {
          tasks.delete(task.name);
          waiters.check();
        },
      });
    },
  });
  const kernel = await startKernel(
    [
      watcher,
      [tasksTinypool, { config: { workers: 0 } }],
      [
        toolsMcp,
        { config: { servers, reconnectMinMs: 1, reconnectMaxMs: 50, closeGraceMs: 1000, ...config } },
      ],
    ],
    { logger },
  );
  onTestFinished(() => kernel.stop());
  const engine = kernel.get(TaskEngine);
  return {
    kernel,
    engine,
    lines,
    tasks,
    names: () => [...tasks.keys()].sort(),
    /** Runs a task and gives its output. */
    run: async (name: string, input: unknown = {}) => (await engine.submit(name, input)).result,
    /** Resolves when these tasks are the registered ones. */
    untilTasks: (...names: readonly string[]) =>
      waiters.until(
        () => ([...tasks.keys()].sort().join() === [...names].sort().join() ? true : undefined),
        20_000,
        () => `tasks ${names.join()}; there are ${[...tasks.keys()].join()}`,
      ),
  };
}
