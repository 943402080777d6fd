import { Chat, ConversationStore, definePlugin, Limits } from '#kernel';
import { config } from './config.js';
import { Agents, Queen, QueenBudget, QueenBus, QueenConfig } from './queen.js';
import { reportAgents, warnOfUnknown } from './startup-report.js';
import { TokenBudget } from './token-budget.js';

export default definePlugin({
  name: 'agent-queen',
  apiVersion: 1,
  config,
  requires: { store: ConversationStore },
  optional: { limits: Limits },
  provides: [Chat],
  setup(ctx, { limits }) {
    ctx.container.register(QueenConfig, { useValue: ctx.config });
    ctx.container.register(Agents, { useValue: ctx.agents });
    ctx.container.register(QueenBus, { useValue: ctx.bus });
    const budget = limits && new TokenBudget(limits, ctx.config);
    ctx.container.register(QueenBudget, { useFactory: () => budget });
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
