import {
  Chat,
  ConversationStore,
  definePlugin,
  Limits,
  type TaskDefinition,
  TaskEngine,
  type Undo,
} from '#kernel';
import { config } from './config.js';
import { Agents, Queen, QueenBudget, QueenBus, QueenConfig, QueenTools } from './queen.js';
import { reportAgents, warnOfUnknown } from './startup-report.js';
import { TokenBudget } from './token-budget.js';
import { ToolNames } from './tool-names.js';

export default definePlugin({
  name: 'agent-queen',
  apiVersion: 1,
  config,
  live: true,
  requires: { store: ConversationStore },
  optional: { limits: Limits, engine: TaskEngine },
  provides: [Chat],
  setup(ctx, { limits, engine }) {
    ctx.container.register(QueenConfig, { useValue: ctx.config });
    ctx.container.register(Agents, { useValue: ctx.agents });
    ctx.container.register(QueenBus, { useValue: ctx.bus });
    ctx.container.register(QueenTools, { useValue: { tasks: ctx.tasks, engine } });
    const budget = limits && new TokenBudget(limits, ctx.config);
    ctx.container.register(QueenBudget, { useFactory: () => budget });
    ctx.container.registerSingleton(Queen);
    const queen = ctx.container.resolve(Queen);
    ctx.agents.watch(queen.answers);
    ctx.tasks.watch(new ToolNames(ctx.tasks));
    ctx.provide(Chat, queen);
    ctx.addAgent(queen);
    const offered = new Map<TaskDefinition, Undo>();
    const offer = (task: TaskDefinition | undefined, isWanted: boolean) => {
      if (!task || isWanted === offered.has(task)) return;
      if (isWanted) offered.set(task, ctx.registerTask(task));
      else {
        void offered.get(task)?.();
        offered.delete(task);
      }
    };
    const offerTasks = () => {
      offer(queen.summaries?.task.definition as TaskDefinition | undefined, ctx.config.summarise);
      offer(queen.titles?.definition as TaskDefinition | undefined, ctx.config.titles);
    };
    offerTasks();
    const warn = () => warnOfUnknown(ctx.config, ctx.agents, ctx.logger);
    ctx.onConfig(() => {
      queen.configure();
      offerTasks();
      warn();
    });
    // Once all plugins have registered theirs.
    ctx.bus.on('kernel:state', ({ to }) => {
      if (to === 'ready' || to === 'degraded') warn();
    });
    ctx.onReady(() => {
      ctx.effect('report of the agents', () => reportAgents(() => queen.statuses(), ctx.logger));
    });
  },
});
