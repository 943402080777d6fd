import { fileURLToPath } from 'node:url';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { check, type Origin } from './check.js';
import type { Hooks } from './context.js';
import { messageOf, WaggleError } from './errors.js';
import type { ConfigInput, Plugin, PluginReport, PluginState } from './plugin.js';
import { EffectScope } from './scope.js';
import { tokenId } from './services.js';

/** How one plugin is to be used. */
export interface UseOptions<T extends Plugin> {
  /** The instance's id; the plugin's name when absent. */
  readonly id?: string;
  readonly config?: ConfigInput<T>;
  /** May fail without stopping the others; the kernel is `degraded` then. */
  readonly optional?: boolean;
  /** Words mistakes in `config` by the file they were made in. */
  readonly origin?: Origin;
  /** URL of the module, so that an error that arose in it can be traced to the plugin. */
  readonly module?: string;
  /** For reports; the plugin's own `version` when absent. */
  readonly version?: string;
}

/** One plugin of a kernel, from its setup to its end; whoever starts it again renews it first. */
export interface Entry {
  readonly id: string;
  readonly plugin: Plugin;
  readonly input: unknown;
  readonly optional: boolean;
  readonly origin: Origin;
  readonly version: string | undefined;
  /** How stack traces name its code: by URL, and by path where it is a CommonJS module. */
  readonly code: readonly string[];
  readonly requires: readonly symbol[];
  readonly wants: readonly symbol[];
  readonly provides: readonly symbol[];
  readonly scope: EffectScope;
  readonly hooks: Hooks;
  config: unknown;
  state: PluginState;
  /** What is meant to be: that it runs, that it waits for something it needs, or that it is gone. */
  goal: 'run' | 'wait' | 'gone';
  /** Its place among all starts of this kernel. */
  rank: number;
  setupMs: number;
  /** Timers that its setup left running, less those that its stop ended. */
  timers: number;
  /** Handles that its setup and its being ready opened, by kind, less those that its stop closed. */
  readonly opened: Map<string, number>;
  error?: unknown;
}

/** Makes the entry of a plugin. @throws KERNEL_PLUGIN_INVALID */
export function createEntry<T extends Plugin>(plugin: T, options: UseOptions<T>): Entry {
  const id = options.id ?? plugin?.name ?? 'unnamed';
  const why = whyInvalid(plugin);
  if (why) throw new WaggleError('KERNEL_PLUGIN_INVALID', { plugin: id, why });
  return {
    id,
    plugin,
    input: options.config,
    optional: options.optional ?? false,
    origin: options.origin ?? { prefix: () => `${id}.`, variable: () => undefined },
    version: options.version ?? plugin.version,
    code: codeOf(options.module),
    requires: Object.values(plugin.requires ?? {}),
    wants: Object.values(plugin.optional ?? {}),
    provides: plugin.provides ?? [],
    config: undefined,
    rank: 0,
    ...unstarted(id),
  };
}

/** The same plugin once more, with the config that was checked and nothing of what it did. */
export function renew({ error: _, ...entry }: Entry): Entry {
  return { ...entry, ...unstarted(entry.id) };
}

/** Puts the checked config in place, or gives all that is wrong with it; an empty list where that was said already. */
export async function checkConfig(entry: Entry): Promise<readonly string[] | undefined> {
  entry.config = entry.input;
  if (!entry.plugin.config) return undefined;
  const checked = await check(entry.plugin.config, entry.input ?? {}, entry.origin);
  if (checked.mistakes) return checked.mistakes;
  entry.config = checked.value;
  return undefined;
}

/** What `kernel.inspect()` says of it. */
export function reportOf(entry: Entry): PluginReport {
  const { id, plugin, version, state, optional, setupMs, provides, scope, error } = entry;
  return {
    id,
    name: plugin.name,
    ...(version === undefined ? {} : { version }),
    state,
    optional,
    setupMs,
    provides: provides.map(tokenId),
    effects: scope.labels(),
    ...(error === undefined ? {} : { error: messageOf(error) }),
  };
}

function unstarted(id: string) {
  const hooks: Hooks = { ready: new Set(), drain: new Set() };
  return {
    scope: new EffectScope(id),
    hooks,
    state: 'pending',
    goal: 'run',
    setupMs: 0,
    timers: 0,
    opened: new Map<string, number>(),
  } as const;
}

/** A folder is one plugin, a file beside others is one, too. */
function codeOf(module: string | undefined): readonly string[] {
  if (!module) return [];
  const url = module.replace(/\/index\.\w+$/, '/');
  return url.startsWith('file:') ? [url, fileURLToPath(url)] : [url];
}

function whyInvalid(plugin: unknown): string | undefined {
  if (typeof plugin !== 'object' || plugin === null) return 'the default export is not an object';
  const { name, apiVersion, version, setup, config, requires, optional, provides } = plugin as Partial<
    Record<keyof Plugin, unknown>
  >;
  if (typeof name !== 'string' || name === '') return '"name" is not a text';
  if (typeof setup !== 'function') return '"setup" is not a function';
  if (apiVersion !== 1) return `"apiVersion" is ${String(apiVersion)}; this kernel speaks version 1`;
  if (typeof (version ?? '') !== 'string') return '"version" is not a text';
  if (config !== undefined && !(config as Partial<StandardSchemaV1>)?.['~standard'])
    return '"config" is not a schema, such as one of zod';
  const tokens = [...Object.values(requires ?? {}), ...Object.values(optional ?? {})];
  if (!Array.isArray(provides ?? [])) return '"provides" is not a list';
  if ([...tokens, ...((provides as unknown[]) ?? [])].some((token) => typeof token !== 'symbol'))
    return '"requires", "optional" and "provides" take tokens of createToken';
  return undefined;
}
