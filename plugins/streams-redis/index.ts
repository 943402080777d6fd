import { Chat, ChatStreams, Cluster, definePlugin, Limits, TaskEngine } from '#kernel';
import { preparation, RedisLink } from '#sdk/redis';
import { config } from './config.js';
import { RedisStreams } from './redis-streams.js';
import { scripts } from './scripts.js';
import { enterTurn, leaveTurn } from './turn-scripts.js';

export default definePlugin({
  name: 'streams-redis',
  apiVersion: 1,
  config,
  requires: { chat: Chat, tasks: TaskEngine, cluster: Cluster },
  optional: { limits: Limits },
  provides: [ChatStreams],
  shared: true,
  async setup(ctx, { chat, tasks, cluster, limits }) {
    const link: RedisLink = new RedisLink({
      config: ctx.config,
      name: `waggle:${cluster.nodeId}:streams`,
      logger: ctx.logger,
      prepare: preparation(ctx.config, [...scripts, enterTurn, leaveTurn]),
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
