import type { Bus } from './bus.js';
import type { Agent } from './contracts/agent.js';
import type { TaskDefinition } from './contracts/task.js';
import { WaggleError } from './errors.js';
import type { Logger } from './logger.js';
import type { KernelReport, PluginContext } from './plugin.js';
import type { Registry } from './registry.js';
import type { EffectScope } from './scope.js';
import { type ServiceTable, tokenId } from './services.js';

/** What all plugins of one kernel share. */
export interface Shared {
  readonly bus: Bus;
  readonly services: ServiceTable;
  readonly agents: Registry<Agent>;
  readonly tasks: Registry<TaskDefinition>;
  readonly logger: Logger;
  inspect(): KernelReport;
}

/** What one plugin wants to be called for. */
export interface Hooks {
  readonly ready: Set<() => void | Promise<void>>;
  readonly drain: Set<(deadline: AbortSignal, timeoutMs: number) => void | Promise<void>>;
}

/** The one place where an action of a plugin is paired with its undo. */
export function createContext(
  id: string,
  config: unknown,
  provides: readonly symbol[],
  scope: EffectScope,
  hooks: Hooks,
  shared: Shared,
): PluginContext {
  const { bus, services, agents, tasks } = shared;
  const keep = <T>(label: string, set: Set<T>, item: T) =>
    scope.effect(label, () => {
      set.add(item);
      return () => void set.delete(item);
    });

  return {
    id,
    config,
    agents,
    tasks,
    logger: shared.logger.child({ plugin: id }),
    container: services.createContainer(),
    signal: scope.signal,
    inspect: shared.inspect,
    bus: {
      on: (name, listener) => scope.effect(`on ${name}`, () => bus.on(name, listener)),
      emit: (name, event) => bus.emit(name, event),
      emitSeries: (name, event) => bus.emitSeries(name, event),
      watch: (watcher) => scope.effect('watch', () => bus.watch(watcher)),
    },
    provide: (token: symbol, service: unknown) => {
      const name = tokenId(token);
      if (!provides.includes(token))
        throw new WaggleError('KERNEL_SERVICE_UNDECLARED', { service: name, plugin: id });
      return scope.effect(`provide ${name}`, () => services.provide(token, service, id));
    },
    registerTask: (task) => scope.effect(`task ${task.name}`, () => tasks.add(task, id)),
    addAgent: (agent) => scope.effect(`agent ${agent.name}`, () => agents.add(agent, id)),
    effect: scope.effect.bind(scope),
    onReady: (hook) => keep('onReady', hooks.ready, hook),
    onDrain: (hook) => keep('onDrain', hooks.drain, hook),
  };
}
