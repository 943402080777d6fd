import type { Agent } from './contracts/agent.js';
import type { PluginContext, TaskClass } from './contracts/plugin-context.js';
import type { KernelReport } from './contracts/report.js';
import { type TaskDefinition, taskPriorities } from './contracts/task.js';
import { wrongDurations } from './duration.js';
import { messageOf, WaggleError } from './errors.js';
import { every } from './every.js';
import type { PluginInstance } from './instance.js';
import type { Bus } from './kernel-bus.js';
import type { Logger } from './logger.js';
import type { Registry } from './registry.js';
import { forPlugin, type ServiceTable, tokenId } from './services.js';

/** Shared by all plugins of one kernel. */
export interface KernelServices {
  readonly bus: Bus;
  readonly services: ServiceTable;
  readonly agents: Registry<Agent>;
  readonly tasks: Registry<TaskDefinition>;
  readonly logger: Logger;
  inspect(): KernelReport;
}

/** The one place where an action of a plugin is paired with its undo. */
export function createContext(instance: PluginInstance, shared: KernelServices): PluginContext {
  const { id, config, provides, scope, hooks } = instance;
  const { bus, services, agents, tasks } = shared;
  const effect = scope.effect.bind(scope);
  const keep = <T>(label: string, set: Set<T>, item: T) =>
    effect({ kind: 'hook', name: label, label }, () => {
      set.add(item);
      return () => void set.delete(item);
    });

  const container = services.createContainer();
  const logger = shared.logger.child({ plugin: id });
  return {
    id,
    config,
    agents: agents[forPlugin](effect),
    tasks: tasks[forPlugin](effect),
    logger,
    container,
    signal: scope.signal,
    inspect: shared.inspect,
    bus: {
      on: (name, listener) =>
        effect({ kind: 'event', name, label: `on ${name}` }, () => bus.on(name, listener)),
      emit: (name, event) => bus.emit(name, event),
      emitSeries: (name, event) => bus.emitSeries(name, event),
      watch: (watcher) => effect({ kind: 'watch', name: 'events', label: 'watch' }, () => bus.watch(watcher)),
    },
    provide: (token: symbol, service: unknown) => {
      const name = tokenId(token);
      if (!provides.includes(token))
        throw new WaggleError('KERNEL_SERVICE_UNDECLARED', { service: name, plugin: id });
      return effect({ kind: 'service', name, label: `provide ${name}` }, () =>
        services.provide(token, service, id),
      );
    },
    registerTask: (given: TaskDefinition | TaskClass) => {
      const task = typeof given === 'function' ? (container.resolve(given) as TaskDefinition) : given;
      return effect({ kind: 'task', name: String(task?.name) }, () => {
        try {
          const why = whyInvalid(task);
          if (why) throw new Error(why);
          return tasks.add(task, id);
        } catch (cause) {
          if (WaggleError.is(cause, 'KERNEL_REGISTRY_CONFLICT')) throw cause;
          const details = { plugin: id, task: String(task?.name), why: messageOf(cause) };
          throw new WaggleError('KERNEL_TASK_INVALID', details, { cause });
        }
      });
    },
    addAgent: (agent) => effect({ kind: 'agent', name: agent.name }, () => agents.add(agent, id)),
    effect,
    every: (name, intervalMs, step) =>
      effect({ kind: 'timer', name, label: `${name} every ${intervalMs} ms` }, () =>
        every(intervalMs, step, (err) => logger.error({ err, timer: name }, 'a timer failed; it goes on')),
      ),
    onReady: (hook) => keep('onReady', hooks.ready, hook),
    onDrain: (hook) => keep('onDrain', hooks.drain, hook),
  };
}

/** Third parties write tasks in JavaScript, too. */
function whyInvalid(task: TaskDefinition): string | undefined {
  if (typeof task !== 'object' || task === null) return 'it is neither an object nor a class';
  const { name, lane, priority, ...rest } = task;
  if (typeof name !== 'string' || !/^[A-Za-z\d._:-]{1,128}$/.test(name))
    return 'its name is not 1 to 128 characters of A-Z a-z 0-9 . _ : -';
  const { module, run } = task as { readonly module?: unknown; readonly run?: unknown };
  if (lane === 'worker' ? !(module instanceof URL) : lane !== 'main')
    return 'it needs lane "worker" and a module as a URL, or lane "main" and a function run';
  if (lane === 'main' && typeof run !== 'function') return '"run" is not a function';
  if (priority !== undefined && !taskPriorities.includes(priority))
    return `"priority" is none of ${taskPriorities.join(', ')}`;
  const numbers = { concurrency: 1, maxQueued: 0 } as const;
  for (const [key, least] of Object.entries(numbers) as [keyof typeof numbers, number][]) {
    const { [key]: value } = rest;
    if (value !== undefined && !(Number.isInteger(value) && value >= least))
      return `"${key}" is not an integer from ${least} on`;
  }
  const { timeoutMs, retries } = rest;
  const { baseMs, maxMs } = retries ?? {};
  const [wrong] = [...wrongDurations({ timeoutMs }, 1), ...wrongDurations({ baseMs, maxMs })];
  return wrong;
}
