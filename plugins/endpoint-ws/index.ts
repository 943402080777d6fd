import { ChatStreams, definePlugin, Overview, TaskEngine, Transport } from '#kernel';
import { config } from './config.js';
import { Sessions } from './sessions.js';

export default definePlugin({
  name: 'endpoint-ws',
  apiVersion: 1,
  config,
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview, engine: TaskEngine },
  setup(ctx, { transport, streams, overview, engine }) {
    const { tasks, config, bus, logger } = ctx;
    const sessions = new Sessions({ streams, engine, tasks, config, bus, logger });
    tasks.watch(sessions);
    transport.websocket(sessions);
    ctx.onDrain((deadline, timeoutMs) => sessions.drain(deadline, timeoutMs));
    overview?.add('websocket', sessions.path);
  },
});
