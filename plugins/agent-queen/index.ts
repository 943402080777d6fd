import { Chat, ConversationStore, definePlugin } from '#kernel';
import { config } from './config.js';
import { Agents, Queen, QueenBus, QueenConfig } from './queen.js';
import { reportAgents, warnOfUnknown } from './startup-report.js';

export default definePlugin({
  name: 'agent-queen',
  apiVersion: 1,
  config,
  requires: { store: ConversationStore },
  provides: [Chat],
  setup(ctx) {
    ctx.container.register(QueenConfig, { useValue: ctx.config });
    ctx.container.register(Agents, { useValue: ctx.agents });
    ctx.container.register(QueenBus, { useValue: ctx.bus });
    ctx.container.registerSingleton(Queen);
    const queen = ctx.container.resolve(Queen);
    ctx.agents.watch(queen.answers);
    ctx.provide(Chat, queen);
    ctx.addAgent(queen);
    // Once all plugins have registered theirs.
    ctx.bus.on('kernel:state', ({ to }) => {
      if (to === 'ready' || to === 'degraded') warnOfUnknown(ctx.config.candidates, ctx.agents, ctx.logger);
    });
    ctx.onReady(() => {
      ctx.effect('report of the agents', () => reportAgents(() => queen.statuses(), ctx.logger));
    });
  },
});
