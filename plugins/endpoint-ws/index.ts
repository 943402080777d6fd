import {
  ChatStreams,
  Clients,
  Cluster,
  definePlugin,
  Limits,
  Overview,
  TaskEngine,
  Transport,
} from '#kernel';
import { config } from './config.js';
import { notificationRoutes } from './notification-routes.js';
import { Sessions } from './sessions.js';

const expireEveryMs = 60_000;

export default definePlugin({
  name: 'endpoint-ws',
  apiVersion: 1,
  config,
  live: true,
  provides: [Clients],
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview, engine: TaskEngine, limits: Limits, cluster: Cluster },
  setup(ctx, { transport, streams, overview, engine, limits, cluster }) {
    const { tasks, config, bus, logger } = ctx;
    const sessions = new Sessions({
      transport,
      streams,
      engine,
      limits,
      tasks,
      config,
      bus,
      logger,
      cluster,
    });
    if (cluster) ctx.effect('messages to other nodes', () => () => sessions.stop());
    ctx.provide(Clients, sessions);
    tasks.watch(sessions);
    transport.websocket(sessions);
    for (const route of notificationRoutes(sessions)) transport.route(route);
    bus.on('chat:started', ({ streamId, userId }) => sessions.began(streamId, userId));
    ctx.every('expire notifications', expireEveryMs, () => sessions.expire());
    ctx.onDrain((deadline, timeoutMs) => sessions.drain(deadline, timeoutMs));
    overview?.add('websocket', sessions.path);
    overview?.add('notifications', '/notifications');
  },
});
