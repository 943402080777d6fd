import { ConversationStore, definePlugin } from '#kernel';
import { config } from './config.js';
import { SqliteStore } from './sqlite-store.js';

/** Within what a plugin may take to stop. */
const closeTimeoutMs = 8000;

export default definePlugin({
  name: 'store-sqlite',
  apiVersion: 1,
  config,
  provides: [ConversationStore],
  async setup(ctx) {
    const { path } = ctx.config;
    const lost = (err: Error) =>
      ctx.logger.error({ err }, 'conversations are neither read nor kept any more');
    const opening = SqliteStore.open(ctx.config, lost);
    await ctx.effect(`file ${path}`, async () => {
      const store = await opening;
      return () => store.close(closeTimeoutMs);
    });
    ctx.provide(ConversationStore, await opening);
    ctx.logger.info({ path }, 'conversations are kept');
  },
});
