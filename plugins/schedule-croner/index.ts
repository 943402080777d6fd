import { definePlugin, Shards, TaskEngine, TaskSchedules } from '#kernel';
import { config } from './config.js';
import { Schedules } from './schedules.js';

export default definePlugin({
  name: 'schedule-croner',
  apiVersion: 1,
  config,
  requires: { engine: TaskEngine },
  optional: { shards: Shards },
  provides: [TaskSchedules],
  setup(ctx, { engine, shards }) {
    const { bus, logger } = ctx;
    const isIdle = shards !== undefined && shards.index > 0;
    const schedules = new Schedules(ctx.config.schedules, { engine, bus, logger, isIdle });
    ctx.effect('alarms of tasks', () => () => schedules.stop());
    ctx.tasks.watch(schedules);
    ctx.provide(TaskSchedules, schedules);
    ctx.onReady(() => {
      const tasks = schedules.unknown;
      if (tasks.length > 0) logger.warn({ tasks }, 'schedules of tasks that nothing registers');
    });
    ctx.onDrain(() => schedules.stop());
  },
});
