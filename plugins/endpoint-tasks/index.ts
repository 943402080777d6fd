import { definePlugin, Overview, type Route, TaskEngine, TaskSchedules, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { config } from './config.js';
import { cancelDocs, listDocs, lookDocs, submitDocs } from './docs.js';
import { cancelRun, listTasks, lookAtRun, submitTask } from './task-routes.js';

/** Time of a handler beyond the longest wait. */
const marginMs = 5000;

export default definePlugin({
  name: 'endpoint-tasks',
  apiVersion: 1,
  config,
  live: true,
  requires: { transport: Transport, engine: TaskEngine },
  optional: { overview: Overview, schedules: TaskSchedules },
  setup(ctx, { transport, engine, overview, schedules }) {
    const routes = (): readonly Route[] => {
      const { maxWaitMs } = ctx.config;
      return [
        {
          method: 'GET',
          path: '/tasks',
          docs: listDocs,
          handler: (_request, reply) => listTasks(engine, ctx.tasks, schedules, reply),
        },
        {
          method: 'POST',
          path: '/tasks/{task}',
          docs: submitDocs,
          timeoutMs: maxWaitMs + marginMs,
          handler: (request, reply) => submitTask(engine, ctx.tasks, maxWaitMs, request, reply),
        },
        {
          method: 'GET',
          path: '/tasks/{task}',
          docs: lookDocs,
          handler: (request, reply) => lookAtRun(engine, request, reply),
        },
        {
          method: 'DELETE',
          path: '/tasks/{task}',
          docs: cancelDocs,
          handler: (request, reply) => cancelRun(engine, request, reply),
        },
      ];
    };
    liveRoutes(ctx, transport, routes);
    overview?.add('tasks', '/tasks');
  },
});
