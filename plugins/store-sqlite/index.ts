import { ConversationStore, definePlugin } from '#kernel';
import { backUp } from './backup.js';
import { config } from './config.js';
import { SqliteStore } from './sqlite-store.js';

/** Within what a plugin may take to stop. */
const closeTimeoutMs = 8000;

export default definePlugin({
  name: 'store-sqlite',
  apiVersion: 1,
  config,
  provides: [ConversationStore],
  backup: ({ path }, file) => backUp(path, file),
  async setup(ctx) {
    const { path } = ctx.config;
    const opening = SqliteStore.open(ctx.config, (trouble) => {
      if (trouble === undefined) ctx.logger.info({ path }, 'conversations are kept again');
      else ctx.logger.error({ path, why: trouble }, 'conversations are not kept');
    });
    await ctx.effect(`file ${path}`, async () => {
      const store = await opening;
      return () => store.close(closeTimeoutMs);
    });
    ctx.provide(ConversationStore, await opening);
    ctx.logger.info({ path }, 'conversations are kept');
  },
});
