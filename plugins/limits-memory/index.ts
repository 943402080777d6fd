import { definePlugin, Limits } from '#kernel';
import { config } from './config.js';
import { MemoryLimits } from './memory-limits.js';

export default definePlugin({
  name: 'limits-memory',
  apiVersion: 1,
  config,
  live: true,
  provides: [Limits],
  setup(ctx) {
    const limits = new MemoryLimits(ctx.config);
    ctx.effect('counts of usage', () => () => limits.close());
    ctx.onConfig(() => limits.configure());
    ctx.provide(Limits, limits);
  },
});
