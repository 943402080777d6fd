import { fileURLToPath } from 'node:url';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkNow, type Origin } from './check.js';
import type { PluginReport, PluginState } from './contracts/report.js';
import { messageOf, WaggleError } from './errors.js';
import type { ConfigInput, Plugin } from './plugin.js';
import { EffectScope } from './scope.js';
import { tokenId } from './services.js';

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

/** One run of a plugin, from its setup to its end; `renew` makes the next one. */
export interface PluginInstance {
  readonly id: string;
  readonly plugin: Plugin;
  readonly input: unknown;
  readonly optional: boolean;
  readonly origin: Origin;
  readonly version: string | undefined;
  /** Its places in stack traces: a URL, and a path for CommonJS. */
  readonly code: readonly string[];
  readonly requires: readonly symbol[];
  readonly usesOptionally: readonly symbol[];
  readonly provides: readonly symbol[];
  readonly scope: EffectScope;
  readonly hooks: {
    readonly ready: Set<() => void | Promise<void>>;
    readonly drain: Set<(deadline: AbortSignal, timeoutMs: number) => void | Promise<void>>;
  };
  config: unknown;
  state: PluginState;
  /** `wait`: for a requirement. */
  desiredState: 'run' | 'wait' | 'gone';
  /** Its number among all starts of this kernel. */
  startOrder: number;
  setupMs: number;
  error?: unknown;
}

/** Makes the instance of a plugin. @throws KERNEL_PLUGIN_INVALID */
export function createInstance<T extends Plugin>(plugin: T, options: UseOptions<T>): PluginInstance {
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
    usesOptionally: Object.values(plugin.optional ?? {}),
    provides: plugin.provides ?? [],
    config: undefined,
    startOrder: 0,
    ...unstarted(id),
  };
}

/** The same plugin with its checked config, not started. */
export function renew({ error: _, ...instance }: PluginInstance): PluginInstance {
  return { ...instance, ...unstarted(instance.id) };
}

/** Sets the checked config, or returns its issues; none where they were reported already. */
export async function checkConfig(instance: PluginInstance): Promise<readonly string[] | undefined> {
  instance.config = instance.input;
  if (!instance.plugin.config) return undefined;
  const checked = await checkNow(instance.plugin.config, instance.input ?? {}, instance.origin);
  if (checked.issues) return checked.issues;
  instance.config = checked.value;
  return undefined;
}

/** A part of `kernel.inspect()`. */
export function reportOf(instance: PluginInstance): PluginReport {
  const { id, plugin, version, state, optional, setupMs, provides, scope, error } = instance;
  return {
    id,
    name: plugin.name,
    ...(version === undefined ? {} : { version }),
    state,
    optional,
    setupMs,
    provides: provides.map(tokenId),
    effects: scope.effects.map(({ label }) => label),
    registrations: scope.effects,
    ...(error === undefined ? {} : { error: messageOf(error) }),
  };
}

function unstarted(id: string) {
  const hooks: PluginInstance['hooks'] = { ready: new Set(), drain: new Set() };
  return {
    scope: new EffectScope(id),
    hooks,
    state: 'pending',
    desiredState: 'run',
    setupMs: 0,
  } as const;
}

/** The code of an `index` is its folder, that of another module is its file. */
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
