import { ChatStreams, definePlugin, Limits, Overview, TaskEngine, Transport } from '#kernel';
import { config } from './config.js';
import { Sessions } from './sessions.js';

export default definePlugin({
  name: 'endpoint-ws',
  apiVersion: 1,
  config,
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview, engine: TaskEngine, limits: Limits },
  setup(ctx, { transport, streams, overview, engine, limits }) {
    const { tasks, config, bus, logger } = ctx;
    const sessions = new Sessions({ streams, engine, limits, tasks, config, bus, logger });
    tasks.watch(sessions);
    transport.websocket(sessions);
    ctx.onDrain((deadline, timeoutMs) => sessions.drain(deadline, timeoutMs));
    overview?.add('websocket', sessions.path);
  },
});
