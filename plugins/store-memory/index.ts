import { ConversationStore, definePlugin } from '#kernel';
import { config } from './config.js';
import { MemoryStore } from './memory-store.js';

export default definePlugin({
  name: 'store-memory',
  apiVersion: 1,
  config,
  live: true,
  provides: [ConversationStore],
  setup(ctx) {
    ctx.provide(ConversationStore, new MemoryStore(ctx.config));
  },
});
