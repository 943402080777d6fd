/** A kernel with the task engine of several servers and one plugin that has a task, without a transport. */
import { createLogger, definePlugin, Kernel, TaskEngine } from '../../../dist/kernel/sdk/all.js';
import clusterRedis from '../../../dist/plugins/cluster-redis/index.js';
import tasksBullmq from '../../../dist/plugins/tasks-bullmq/index.js';
import { serveRuns } from './driver.mjs';
import spin from './spin.mjs';

const url = `redis://127.0.0.1:${process.env.REDIS_PORT}`;
const kernel = new Kernel({ logger: createLogger('warn') });
kernel.use(clusterRedis, { config: { url } });
kernel.use(tasksBullmq, { config: { url, workers: 0, mainConcurrency: 2 } });
kernel.use(
  definePlugin({
    name: 'bench-tasks',
    apiVersion: 1,
    requires: { tasks: TaskEngine },
    setup(ctx, { tasks }) {
      ctx.registerTask({ name: 'bench:spin', lane: 'main', run: async (us) => spin(us) });
      ctx.onReady(() => serveRuns(async (us) => (await tasks.submit('bench:spin', us)).result));
    },
  }),
);
await kernel.start();
