import { Chat, ChatStreams, definePlugin, Limits, TaskEngine } from '#kernel';
import { LocalStreams, streamsConfig } from '#sdk/streams';

export default definePlugin({
  name: 'streams-memory',
  apiVersion: 1,
  config: streamsConfig,
  live: true,
  requires: { chat: Chat, tasks: TaskEngine },
  optional: { limits: Limits },
  provides: [ChatStreams],
  setup(ctx, { chat, tasks, limits }) {
    if (typeof tasks.admit !== 'function')
      throw new Error('the plugin that provides "tasks" is too old: its engine has no "admit"');
    const streams = new LocalStreams(chat, tasks, ctx.config, ctx.bus, ctx.logger, limits);
    ctx.registerTask(streams.task);
    ctx.effect('running replies', () => () => streams.close());
    ctx.provide(ChatStreams, streams);
    ctx.onDrain((deadline) => streams.drain(deadline));
  },
});
