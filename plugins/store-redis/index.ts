import { ConversationStore, definePlugin } from '#kernel';
import { config } from './config.js';
import { RedisStore } from './redis-store.js';

export default definePlugin({
  name: 'store-redis',
  apiVersion: 1,
  config,
  provides: [ConversationStore],
  shared: true,
  async setup(ctx) {
    const store = new RedisStore(ctx.config, ctx.logger);
    await ctx.effect('connection of the store', async () => {
      await store.start();
      return () => store.close();
    });
    ctx.provide(ConversationStore, store);
    ctx.logger.info('conversations are kept in Redis');
  },
});
