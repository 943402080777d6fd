import { Chat, ChatStreams, definePlugin } from '#kernel';
import { config } from './config.js';
import { MemoryStreams } from './memory-streams.js';

export default definePlugin({
  name: 'streams-memory',
  apiVersion: 1,
  config,
  requires: { chat: Chat },
  provides: [ChatStreams],
  setup(ctx, { chat }) {
    const streams = new MemoryStreams(chat, ctx.config, ctx.bus, ctx.logger);
    ctx.effect('running replies', () => () => streams.close());
    ctx.provide(ChatStreams, streams);
    ctx.onDrain((deadline) => streams.drain(deadline));
  },
});
