import type { Agent } from './contracts/agent.js';
import type { PluginContext, TaskClass } from './contracts/plugin-context.js';
import type { KernelReport } from './contracts/report.js';
import type { TaskDefinition } from './contracts/task.js';
import { taskDefinition } from './contracts/task-schema.js';
import { messageOf, WaggleError } from './errors.js';
import { every } from './every.js';
import type { PluginInstance } from './instance.js';
import { jsonSchemaOf, type Node } from './json-schema.js';
import type { Bus } from './kernel-bus.js';
import type { Logger } from './logger.js';
import type { Registry } from './registry.js';
import { type ServiceTable, tokenId } from './services.js';

/** Shared by all plugins of one kernel. */
export interface KernelServices {
  readonly bus: Bus;
  readonly services: ServiceTable;
  readonly agents: Registry<Agent>;
  readonly tasks: Registry<TaskDefinition>;
  loggerOf(plugin: string): Logger;
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
  const logger = shared.loggerOf(id);
  return {
    id,
    config,
    agents: agents.viewFor(effect),
    tasks: tasks.viewFor(effect),
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
          return tasks.add(task, id, scope);
        } catch (cause) {
          if (WaggleError.is(cause, 'KERNEL_REGISTRY_CONFLICT')) throw cause;
          const details = { plugin: id, task: String(task?.name), why: messageOf(cause) };
          throw new WaggleError('KERNEL_TASK_INVALID', details, { cause });
        }
      });
    },
    addAgent: (agent) => effect({ kind: 'agent', name: agent.name }, () => agents.add(agent, id, scope)),
    effect,
    every: (name, intervalMs, step) =>
      effect({ kind: 'timer', name, label: `${name} every ${intervalMs} ms` }, () =>
        every(intervalMs, step, (err) => logger.error({ err, timer: name }, 'a timer failed; it goes on')),
      ),
    onReady: (hook) => keep('onReady', hooks.ready, hook),
    onConfig: (hook) => keep('onConfig', hooks.config, hook),
    onDrain: (hook) => keep('onDrain', hooks.drain, hook),
  };
}

/** Third parties write tasks in JavaScript, too. */
function whyInvalid(task: TaskDefinition): string | undefined {
  const { error } = taskDefinition.safeParse(task);
  if (error) return error.issues[0]?.message;
  const { tool, input } = task;
  if (tool && (input && (jsonSchemaOf(input) as Node | undefined))?.type !== 'object')
    return 'a tool needs an "input" whose JSON Schema is that of an object';
  return undefined;
}
