import { Access, definePlugin, Limits, Shards, Transport } from '#kernel';
import { liveTransportKeys, transportConfig } from '#sdk/http';
import { NodeTransport } from './transport.js';

/** HTTP and WebSockets on `node:http` and `ws`: for platforms where uWebSockets.js does not load. */
export default definePlugin({
  name: 'transport-node',
  apiVersion: 1,
  config: transportConfig,
  live: liveTransportKeys,
  provides: [Transport, Access],
  optional: { limits: Limits, shards: Shards },
  setup(ctx, { limits, shards }) {
    const transport = new NodeTransport(ctx.config, ctx.logger, ctx.bus, shards);
    ctx.provide(Transport, transport);
    ctx.provide(Access, transport.access);
    transport.access.limits = limits;
    ctx.onReady(async () => {
      await ctx.effect('listen', async () => {
        await transport.listen();
        return () => transport.close();
      });
      ctx.logger.info({ ...transport.address }, 'listening');
    });
    if (ctx.config.tls) ctx.bus.on('server:reload', () => transport.reload());
    ctx.onConfig(() => transport.configure());
    ctx.onDrain(() => transport.drain());
  },
});
