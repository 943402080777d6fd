import { ChatStreams, definePlugin, Overview, Transport } from '#kernel';
import { config } from './config.js';
import { Sessions } from './sessions.js';

export default definePlugin({
  name: 'endpoint-ws',
  apiVersion: 1,
  config,
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview },
  setup(ctx, { transport, streams, overview }) {
    const sessions = new Sessions(streams, ctx.config, ctx.logger);
    ctx.effect(`WS ${sessions.path}`, () => transport.websocket(sessions));
    ctx.onDrain((deadline, timeoutMs) => sessions.drain(deadline, timeoutMs));
    if (overview) ctx.effect('endpoint websocket', () => overview.add('websocket', sessions.path));
  },
});
