import { Chat, ChatStreams, Cluster, definePlugin, Limits, TaskEngine } from '#kernel';
import { checkLayout, checkServer, parseRedisUrl, RedisLink } from '#sdk/redis';
import { config } from './config.js';
import { RedisStreams } from './redis-streams.js';
import { scripts } from './scripts.js';

export default definePlugin({
  name: 'streams-redis',
  apiVersion: 1,
  config,
  requires: { chat: Chat, tasks: TaskEngine, cluster: Cluster },
  optional: { limits: Limits },
  provides: [ChatStreams],
  async setup(ctx, { chat, tasks, cluster, limits }) {
    const { name: engine = 'Redis' } = parseRedisUrl(ctx.config.url) ?? {};
    const { prefix, allowEviction } = ctx.config;
    const link: RedisLink = new RedisLink({
      config: ctx.config,
      name: `waggle:${cluster.nodeId}:streams`,
      logger: ctx.logger,
      async prepare(connection) {
        await Promise.all([
          connection.send(['INFO']).then((info) => checkServer(String(info), engine, allowEviction)),
          checkLayout((...args) => connection.send(args), prefix, engine),
          ...scripts.map(({ text }) => connection.send(['SCRIPT', 'LOAD', text])),
        ]);
      },
      onUp: (isFirst) => {
        if (!isFirst) void streams.compare();
      },
    });
    const streams = new RedisStreams(
      { chat, tasks, cluster, link, bus: ctx.bus, logger: ctx.logger, limits },
      ctx.config,
    );
    await ctx.effect('connection to the logs', async () => {
      await link.start();
      await streams.compare();
      return () => link.close();
    });
    ctx.registerTask(streams.task);
    ctx.effect('running replies', () => () => streams.close());
    ctx.provide(ChatStreams, streams);
    ctx.onDrain((deadline) => streams.drain(deadline));
  },
});
