import { Cluster, definePlugin } from '#kernel';
import { config } from './config.js';
import { RedisCluster } from './redis-cluster.js';

export default definePlugin({
  name: 'cluster-redis',
  apiVersion: 1,
  config,
  provides: [Cluster],
  async setup(ctx) {
    const cluster = new RedisCluster(ctx.config, ctx.logger);
    await ctx.effect('node of the cluster', async () => {
      await cluster.start();
      return () => cluster.stop();
    });
    ctx.provide(Cluster, cluster);
    ctx.logger.info({ node: cluster.nodeId, nodes: cluster.stats.nodes }, 'joined the cluster');
  },
});
