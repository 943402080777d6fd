import { definePlugin, Limits } from '#kernel';
import { config } from './config.js';
import { RedisLimits } from './redis-limits.js';

export default definePlugin({
  name: 'limits-redis',
  apiVersion: 1,
  config,
  live: ['limits', 'maxUsers'],
  provides: [Limits],
  shared: true,
  async setup(ctx) {
    const limits = new RedisLimits(ctx.config, ctx.logger);
    await ctx.effect('connection of the limits', async () => {
      await limits.start();
      return () => limits.close();
    });
    ctx.onConfig(() => limits.configure());
    ctx.provide(Limits, limits);
  },
});
