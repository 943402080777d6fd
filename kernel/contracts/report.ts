import type { Effect } from './effect.js';

/** The life of a kernel, in order; `degraded` is ready without an optional plugin. */
export const kernelStates = [
  'idle',
  'starting',
  'ready',
  'degraded',
  'draining',
  'stopping',
  'stopped',
  'failed',
] as const;
/** The state of a kernel. */
export type KernelState = (typeof kernelStates)[number];

/** The life of a plugin, in order. */
export const pluginStates = ['pending', 'starting', 'active', 'stopping', 'stopped', 'failed'] as const;
/** The state of a plugin. */
export type PluginState = (typeof pluginStates)[number];

/** One plugin in the report of `kernel.inspect()`. */
export interface PluginReport {
  readonly id: string;
  readonly name: string;
  readonly version?: string;
  readonly state: PluginState;
  readonly optional: boolean;
  /** Duration of `setup`. */
  readonly setupMs: number;
  readonly provides: readonly string[];
  /** Labels of everything it has in effect now: routes, agents, listeners, timers. */
  readonly effects: readonly string[];
  /** The same, in the same order, by kind and name. */
  readonly registrations: readonly Effect[];
  /** Why it failed. For operators; not for clients. */
  readonly error?: string;
}

/** The report of `kernel.inspect()`. */
export interface KernelReport {
  readonly state: KernelState;
  readonly plugins: readonly PluginReport[];
}

/** The effect of a change on one plugin. */
export interface PluginChange {
  readonly plugin: string;
  /**
   * `restart`: stopped and started again. `replace`: started beside its former run, which ends with the running answers of
   * its agents. `update`: goes on with other values of the `keys`.
   */
  readonly action: 'start' | 'stop' | 'restart' | 'replace' | 'update';
  /** The keys of its config that have changed; none where it restarts with a plugin that it uses. */
  readonly keys: readonly string[];
}
