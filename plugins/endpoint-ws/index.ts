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
    ctx.effect('message types', () => tasks.watch(sessions));
    ctx.effect(`WS ${sessions.path}`, () => transport.websocket(sessions));
    ctx.onDrain((deadline, timeoutMs) => sessions.drain(deadline, timeoutMs));
    if (overview) ctx.effect('endpoint websocket', () => overview.add('websocket', sessions.path));
  },
});
