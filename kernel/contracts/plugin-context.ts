import type { DependencyContainer } from 'tsyringe';
import type { Logger } from '../logger.js';
import type { ServiceOf, StartEffect, Token } from '../services.js';
import type { Agent } from './agent.js';
import type { EventBus } from './bus.js';
import type { Undo } from './effect.js';
import type { ReadonlyRegistry } from './registry.js';
import type { KernelReport } from './report.js';
import type { BaseTask, TaskDefinition, TaskInput, TaskOutput, TaskTypes } from './task.js';

/** A class of a task, which tsyringe builds. */
// biome-ignore lint/suspicious/noExplicitAny: the container knows what to pass
export type TaskClass = new (...injected: any[]) => BaseTask<any, any>;

/** The kernel as one plugin sees it. Everything done through it is undone when the plugin stops, last thing first. */
export interface PluginContext<Config = unknown, Provided extends Token<unknown> = Token<unknown>> {
  readonly id: string;
  /** Its `live` keys change in place: read them when they are needed. */
  readonly config: Config;
  readonly logger: Logger;
  readonly bus: EventBus;
  /** The plugin's own tsyringe container, which resolves shared services, too. */
  readonly container: DependencyContainer;
  /** Aborts when the plugin begins to stop. */
  readonly signal: AbortSignal;
  /** Read-only. Watchers end with the plugin. */
  readonly agents: ReadonlyRegistry<Agent>;
  readonly tasks: ReadonlyRegistry<TaskDefinition>;
  /** State of the kernel and of every plugin. */
  inspect(): KernelReport;

  /** @throws KERNEL_SERVICE_UNDECLARED, KERNEL_SERVICE_CONFLICT */
  provide<K extends Provided>(token: K, service: ServiceOf<K>): Undo;
  /**
   * A task as an object, or as a class of the main lane that tsyringe builds. Undone, its waiting runs are cancelled, and
   * the others may finish within a grace period. @throws KERNEL_REGISTRY_CONFLICT, KERNEL_TASK_INVALID
   */
  registerTask<N extends keyof TaskTypes & string>(
    task: TaskDefinition<TaskInput<N>, TaskOutput<N>> & { readonly name: N },
  ): Undo;
  registerTask<Input, Output, const N extends string>(
    task: TaskDefinition<Input, Output> & { readonly name: N extends keyof TaskTypes ? never : N },
  ): Undo;
  registerTask(task: TaskClass): Undo;
  /** Undone, its running replies may go on for a grace period. @throws KERNEL_REGISTRY_CONFLICT */
  addAgent(agent: Agent): Undo;
  /** Runs `start` now, and the undo that it returns when the plugin stops. Services undo by themselves. @throws KERNEL_SCOPE_CLOSED */
  readonly effect: StartEffect;
  /** Runs a step at an interval. A step that throws is logged, once until it works again, and the timer goes on. */
  every(label: string, intervalMs: number, step: () => void): Undo;
  /** After the setup of all plugins: open sockets here. */
  onReady(hook: () => void | Promise<void>): Undo;
  /** After `live` keys of `config` have changed. A throw undoes the whole change, and calls it again with the former values. */
  onConfig(hook: () => void | Promise<void>): Undo;
  /** Before anything stops: refuse new work, and finish or cancel running work before `deadline` aborts, after `timeoutMs`. */
  onDrain(hook: (deadline: AbortSignal, timeoutMs: number) => void | Promise<void>): Undo;
}
