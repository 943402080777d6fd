import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { DependencyContainer } from 'tsyringe';
import type { EventBus } from './bus.js';
import type { Agent } from './contracts/agent.js';
import type { KernelReport } from './contracts/report.js';
import type { BaseTask, TaskDefinition, TaskInput, TaskOutput, TaskTypes } from './contracts/task.js';
import type { Logger } from './logger.js';
import type { ReadonlyRegistry } from './registry.js';
import type { Undo } from './scope.js';
import type { ServiceOf, ServicesOf, StartEffect, Token, TokenRecord } from './services.js';

/** A class that tsyringe can build a task from. */
// biome-ignore lint/suspicious/noExplicitAny: the container knows what to pass
export type TaskClass = new (...injected: any[]) => BaseTask<any, any>;

/** All a plugin may touch. Whatever is done through it is undone when the plugin stops, last thing first. */
export interface PluginContext<Config = unknown, Provided extends Token<unknown> = Token<unknown>> {
  readonly id: string;
  readonly config: Config;
  readonly logger: Logger;
  readonly bus: EventBus;
  /** The plugin's own tsyringe container; shared services resolve through it, too. */
  readonly container: DependencyContainer;
  /** Aborts when the plugin begins to stop. */
  readonly signal: AbortSignal;
  /** To be read: `addAgent` adds. Whoever watches it stops with the plugin. */
  readonly agents: ReadonlyRegistry<Agent>;
  /** The same of tasks: `registerTask` adds. */
  readonly tasks: ReadonlyRegistry<TaskDefinition>;
  /** State of the kernel and of every plugin. */
  inspect(): KernelReport;

  /** @throws KERNEL_SERVICE_UNDECLARED, KERNEL_SERVICE_CONFLICT */
  provide<K extends Provided>(token: K, service: ServiceOf<K>): Undo;
  /**
   * A task as an object, or as a class of the main lane that tsyringe builds with what it asks for. Undone: those that
   * wait are cancelled, those that run may finish for a while. @throws KERNEL_REGISTRY_CONFLICT, KERNEL_TASK_INVALID
   */
  registerTask<N extends keyof TaskTypes & string>(
    task: TaskDefinition<TaskInput<N>, TaskOutput<N>> & { readonly name: N },
  ): Undo;
  registerTask<Input, Output, const N extends string>(
    task: TaskDefinition<Input, Output> & { readonly name: N extends keyof TaskTypes ? never : N },
  ): Undo;
  registerTask(task: TaskClass): Undo;
  /** Undone: answers that it is giving may go on for a while. @throws KERNEL_REGISTRY_CONFLICT */
  addAgent(agent: Agent): Undo;
  /** Runs `start` now, and the undo that it returns when the plugin stops. @throws KERNEL_SCOPE_CLOSED */
  readonly effect: StartEffect;
  /** Runs a step again and again. One that throws is logged, once until it works again, and the timer goes on. */
  every(label: string, intervalMs: number, step: () => void): Undo;
  /** After every plugin is set up: open sockets here. */
  onReady(hook: () => void | Promise<void>): Undo;
  /** Before anything stops: refuse new work, and finish or cancel what runs before `deadline` aborts, after `timeoutMs`. */
  onDrain(hook: (deadline: AbortSignal, timeoutMs: number) => void | Promise<void>): Undo;
}

/** A plugin is the object you write; `definePlugin` only types it. */
export interface Plugin<
  // biome-ignore-start lint/suspicious/noExplicitAny: a list of plugins holds any config and any services
  Config = any,
  Input = any,
  R extends TokenRecord = any,
  O extends TokenRecord = any,
  P extends Token<unknown> = any,
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
> {
  readonly name: string;
  /** The version of this interface that the plugin was written for. */
  readonly apiVersion: 1;
  /** The plugin's own version, for reports; that of its package when absent. */
  readonly version?: string;
  /** Checks the plugin's part of the config file and fills in defaults. */
  readonly config?: StandardSchemaV1<Input, Config>;
  /** Services it cannot do without, by the names that `setup` gets them under. */
  readonly requires?: R;
  /** Services it uses where they exist. */
  readonly optional?: O;
  /** Tokens that `setup` provides. */
  readonly provides?: readonly P[];
  /** Copies all that it keeps to a file that is not there yet, also while a server runs: `waggle backup`. @throws BACKUP_FAILED */
  backup?(config: Config, file: string): Promise<void>;
  setup(
    ctx: PluginContext<Config, P>,
    services: ServicesOf<R> & Partial<ServicesOf<O>>,
  ): void | Promise<void>;
}

/** Types a plugin: the services and the config that `setup` gets follow from what it declares. */
export function definePlugin<
  Config = undefined,
  Input = Config,
  const R extends TokenRecord = Record<never, never>,
  const O extends TokenRecord = Record<never, never>,
  P extends Token<unknown> = never,
>(plugin: Plugin<Config, Input, R, O, P>): Plugin<Config, Input, R, O, P> {
  return plugin;
}

/** What a plugin's config may look like before defaults are filled in. */
// biome-ignore lint/suspicious/noExplicitAny: only Input matters here
export type ConfigInput<T> = T extends Plugin<any, infer Input, any, any, any> ? Input : never;
