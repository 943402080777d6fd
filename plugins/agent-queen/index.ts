import { Chat, ConversationStore, definePlugin } from '#kernel';
import { config } from './config.js';
import { Agents, Queen, QueenBus, QueenConfig } from './queen.js';

/** The server answers first: what clients of model servers load the first time they are used takes a while. */
const firstLookMs = 100;

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
    ctx.provide(Chat, queen);
    ctx.addAgent(queen);
    const look = async () => {
      for (const { name, healthy, detail } of await queen.statuses())
        if (healthy) ctx.logger.info({ agent: name }, 'agent ready');
        else ctx.logger.warn({ agent: name, detail }, 'agent not available; others answer in its place');
    };
    ctx.onReady(() => {
      ctx.effect('first look at the agents', () => {
        const timer = setTimeout(() => void look(), firstLookMs);
        return () => clearTimeout(timer);
      });
    });
  },
});
