/** A kernel with the task engine and one plugin that has a task, without a transport. */
import { createLogger, definePlugin, Kernel, TaskEngine } from '../../../dist/kernel/sdk/all.js';
import tasksTinypool from '../../../dist/plugins/tasks-tinypool/index.js';
import { serveRuns } from './driver.mjs';

const kernel = new Kernel({ logger: createLogger('warn') });
kernel.use(tasksTinypool, { config: { workers: 2 } });
kernel.use(
  definePlugin({
    name: 'bench-tasks',
    apiVersion: 1,
    requires: { tasks: TaskEngine },
    setup(ctx, { tasks }) {
      ctx.registerTask({
        name: 'bench:spin',
        lane: 'worker',
        module: new URL('./spin.mjs', import.meta.url),
      });
      ctx.onReady(() => serveRuns(async (us) => (await tasks.submit('bench:spin', us)).result));
    },
  }),
);
await kernel.start();
