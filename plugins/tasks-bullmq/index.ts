import { Cluster, definePlugin, TaskEngine } from '#kernel';
import { liveTaskKeys } from '#sdk/tasks';
import { BullEngine } from './bull-engine.js';
import { config } from './config.js';

export default definePlugin({
  name: 'tasks-bullmq',
  apiVersion: 1,
  config,
  live: liveTaskKeys,
  requires: { cluster: Cluster },
  provides: [TaskEngine],
  shared: true,
  async setup(ctx, { cluster }) {
    const engine = new BullEngine({ config: ctx.config, cluster, bus: ctx.bus, logger: ctx.logger });
    await ctx.effect('connection, lanes and threads', async () => {
      await engine.start();
      return () => engine.close();
    });
    ctx.tasks.watch(engine);
    ctx.provide(TaskEngine, engine);
    // Only now: threads start slowly, and the server has to answer first.
    ctx.onReady(() => engine.open());
    // More of them may run now.
    ctx.onConfig(() => engine.pump('main'));
    ctx.onDrain((deadline) => engine.drain(deadline));
    ctx.logger.info('tasks are distributed over Redis');
  },
});
