import { fileURLToPath } from 'node:url';
import { checkNow, type Origin } from './check.js';
import type { UseOptions } from './contracts/kernel-options.js';
import type { PluginReport, PluginState } from './contracts/report.js';
import { messageOf, WaggleError } from './errors.js';
import type { Plugin } from './plugin.js';
import { EffectScope } from './scope.js';
import { tokenId } from './services.js';

/** One run of a plugin, from its setup to its end; `renew` makes the next one. */
export interface PluginInstance {
  readonly id: string;
  readonly plugin: Plugin;
  input: unknown;
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
    readonly config: Set<() => void | Promise<void>>;
    readonly drain: Set<(deadline: AbortSignal, timeoutMs: number) => void | Promise<void>>;
  };
  config: unknown;
  state: PluginState;
  /** Stopped, or never started, until its requirements are there. */
  waits: boolean;
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
    ...unstarted(id),
  };
}

/** The same plugin with its checked config, not started. */
export function renew({ error: _, ...instance }: PluginInstance): PluginInstance {
  return { ...instance, ...unstarted(instance.id) };
}

/** Sets the checked config, or returns its issues; none where they were reported already. */
export async function checkConfig(instance: PluginInstance): Promise<readonly string[] | undefined> {
  const { plugin, input, origin } = instance;
  instance.config = origin.convert?.(input) ?? input;
  if (!plugin.config) return undefined;
  const checked = await checkNow(plugin.config, input ?? {}, origin);
  if (checked.issues) return checked.issues;
  instance.config = checked.value;
  return undefined;
}

/** A part of `kernel.inspect()`. */
export function reportOf(instance: PluginInstance): PluginReport {
  const { id, plugin, version, state, optional, setupMs, provides, scope, error } = instance;
  return {
    ...{ id, name: plugin.name, state, optional, setupMs },
    ...(version === undefined ? {} : { version }),
    provides: provides.map(tokenId),
    effects: scope.effects.map(({ label }) => label),
    registrations: scope.effects,
    ...(error === undefined ? {} : { error: messageOf(error) }),
  };
}

function unstarted(id: string) {
  const hooks: PluginInstance['hooks'] = { ready: new Set(), config: new Set(), drain: new Set() };
  return {
    scope: new EffectScope(id),
    hooks,
    state: 'pending',
    waits: false,
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
  const { name, apiVersion, version, setup, config, requires, optional, provides, live } = plugin as Partial<
    Record<keyof Plugin, unknown>
  >;
  const used = [requires, optional, provides].flatMap((each) => Object.values(each ?? {}));
  const areTokens = used.every((each) => typeof each === 'symbol');
  const mistakes: readonly (readonly [boolean, string])[] = [
    [typeof name !== 'string' || name === '', '"name" is not a text'],
    [typeof setup !== 'function', '"setup" is not a function'],
    [apiVersion !== 1, `"apiVersion" is ${String(apiVersion)}; this kernel speaks version 1`],
    [typeof (version ?? '') !== 'string', '"version" is not a text'],
    [config !== undefined && !Object(config)['~standard'], '"config" is not a schema, such as one of zod'],
    [!Array.isArray(provides ?? []), '"provides" is not a list'],
    [
      live !== undefined && live !== true && !Array.isArray(live),
      '"live" is neither true nor a list of keys',
    ],
    [!areTokens, '"requires", "optional" and "provides" take tokens of createToken'],
  ];
  return mistakes.find(([isWrong]) => isWrong)?.[1];
}
