import type { Origin } from '../check.js';
import type { Logger } from '../logger.js';
import type { ConfigInput, Plugin } from '../plugin.js';
import type { Token } from '../services.js';

/** Options of a kernel; all of them have defaults. */
export interface KernelOptions {
  readonly logger?: Logger;
  /** Makes the logger of a plugin from that of the kernel. */
  readonly pluginLogger?: (logger: Logger, plugin: string) => Logger;
  /** Limit of one plugin for each of setup, ready and stop. Default 10 s. */
  readonly pluginTimeoutMs?: number;
  /** Limit of running work after `stop`. Default 10 s. */
  readonly drainTimeoutMs?: number;
  /** Services of the host, for plugins that use them where they exist. */
  readonly services?: readonly HostService[];
  /** For a host that attributes resources of the process to plugins. */
  readonly onPhase?: OnPhase;
}

/** A service that no plugin provides, with its token. */
export type HostService<T = unknown> = readonly [token: Token<T>, service: T];

/** A plugin with its options, for `apply`. */
export type Wanted = readonly [plugin: Plugin, options?: UseOptions<Plugin>];

/** Called before the code of a plugin runs; the function that it returns is called, and awaited, after that. */
export type OnPhase = (
  plugin: string,
  phase: 'setup' | 'ready' | 'config' | 'stop',
) => (() => void | Promise<void>) | undefined;

/** Options of one plugin. */
export interface UseOptions<T extends Plugin> {
  /** The plugin's name when absent. */
  readonly id?: string;
  readonly config?: ConfigInput<T>;
  /** May fail without stopping the others; the kernel is `degraded` then. */
  readonly optional?: boolean;
  /** Where `config` was written, for the wording of its issues. */
  readonly origin?: Origin;
  /** URL of the module, which traces an error to the plugin. */
  readonly module?: string;
  /** For reports; that of the plugin when absent. */
  readonly version?: string;
}
