import { definePlugin, TaskEngine } from '#kernel';
import { createLanes, Engine, liveTaskKeys, tasksConfig } from '#sdk/tasks';

export default definePlugin({
  name: 'tasks-tinypool',
  apiVersion: 1,
  config: tasksConfig,
  live: liveTaskKeys,
  provides: [TaskEngine],
  setup(ctx) {
    const lanes = createLanes(ctx.config, ctx.logger, {
      free: (lane) => engine.pump(lane),
      lost: (reason) => ctx.bus.emit('worker:lost', { reason }),
    });
    const engine: Engine = new Engine(ctx.config, lanes, () => lanes.stats, ctx.bus, ctx.logger);
    ctx.effect('lanes and threads', () => () => engine.close());
    ctx.tasks.watch(engine);
    ctx.provide(TaskEngine, engine);
    // Only now: threads start slowly, and the server has to answer first.
    ctx.onReady(() => lanes.open());
    // More of them may run now.
    ctx.onConfig(() => engine.pump('main'));
    ctx.onDrain((deadline) => engine.drain(deadline));
  },
});
