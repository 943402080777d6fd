import { isDeepStrictEqual } from 'node:util';
import type { PluginChange } from './contracts/report.js';
import { type PluginInstance, renew } from './instance.js';
import { isMap } from './json-schema.js';
import { dependentsOf } from './order.js';

/** A change of the plugins of a running kernel. */
export interface Change {
  /** All plugins afterwards: the same instance where one stays as it is, or goes on with another config. */
  readonly next: readonly PluginInstance[];
  /** Plugins that stop first, in the order of their start. */
  readonly stopping: readonly PluginInstance[];
  /** Plugins that stop last, when their successors run. */
  readonly replaced: readonly PluginInstance[];
  readonly updates: readonly Update[];
}

/** Another config for a plugin that goes on. */
export interface Update extends Checked {
  readonly instance: PluginInstance;
}
type Checked = Pick<PluginInstance, 'input' | 'config'>;

/** Kinds of registrations that two runs of a plugin can have at once. */
const sharedKinds = ['agent', 'authenticator', 'event', 'hook', 'other', 'proxies', 'timer', 'watch'];

/**
 * The change from the present plugins to others, which were checked for it. A plugin that would use a new service stops,
 * too, and all that stops comes back as a new run.
 */
export function changeBetween(
  before: readonly PluginInstance[],
  active: readonly PluginInstance[],
  wanted: readonly PluginInstance[],
  mayStay = canStay,
): Change {
  const stays = wanted.map((now) => before.find((old) => old.id === now.id && mayStay(old, now)) ?? now);
  const there = active.flatMap(({ provides }) => provides);
  const gained = wanted.flatMap(({ provides }) => provides).filter((token) => !there.includes(token));
  const gone = active.filter((each) => !stays.includes(each));
  const over = gone.filter((each) => canOverlap(each) && wanted.some(({ id }) => id === each.id));
  const users = active.filter((each) => each.usesOptionally.some((token) => gained.includes(token)));
  const stopping = dependentsOf(active, [...gone.filter((each) => !over.includes(each)), ...users]);
  const next = stays.map((each, at) =>
    stopping.includes(each) ? renew(wanted[at] as PluginInstance) : each,
  );
  const updates = wanted.flatMap(({ input, config }, at) => {
    const instance = next[at] as PluginInstance;
    return changedKeys(instance, { input, config })?.length ? [{ instance, input, config }] : [];
  });
  return { next, stopping, replaced: over.filter((each) => !stopping.includes(each)), updates };
}

/** A change in words: stops, and then the others in the order of the plugins. */
export function inWords(
  { next, stopping, replaced, updates }: Change,
  before: readonly PluginInstance[],
): readonly PluginChange[] {
  const words = next.flatMap((now): readonly PluginChange[] => {
    const plugin = now.id;
    const old = before.find(({ id }) => id === plugin);
    const update = updates.find(({ instance }) => instance === now);
    const keys = (old && changedKeys(old, update ?? now)) ?? [];
    if (update) return [{ plugin, action: 'update', keys }];
    if (!old || old === now) return old ? [] : [{ plugin, action: 'start', keys }];
    const action = replaced.includes(old) ? 'replace' : stopping.includes(old) ? 'restart' : 'start';
    return [{ plugin, action, keys }];
  });
  const stops = before.filter(({ id }) => !next.some((each) => each.id === id));
  return [...stops.map(({ id }) => ({ plugin: id, action: 'stop', keys: [] }) as const), ...words];
}

/** Whether a plugin goes on as it is, or with a config that differs in live keys only. */
function canStay(old: PluginInstance, now: PluginInstance): boolean {
  if (old.plugin !== now.plugin || old.optional !== now.optional) return false;
  const keys = changedKeys(old, now);
  const { live } = old.plugin;
  const isLive = (key: string) => old.state === 'active' && (live === true || live?.includes(key));
  return keys?.every(isLive) ?? false;
}

/** The keys that differ; undefined where a config is no map. */
function changedKeys(old: Checked, now: Checked): readonly string[] | undefined {
  const [before, after] = [old.config ?? {}, now.config ?? {}];
  // A checked config may hold functions, which are never the same.
  if (isDeepStrictEqual(old.input, now.input) || isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) || !isMap(after)) return undefined;
  return Object.keys({ ...before, ...after }).filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

/** Whether a plugin and its successor can run at once: users must miss neither, and there can be two of all they have. */
function canOverlap({ provides, scope }: PluginInstance): boolean {
  const kinds = scope.effects.map(({ kind }) => kind);
  const isMissed = kinds.includes('agent') || kinds.includes('authenticator');
  return isMissed && provides.length === 0 && kinds.every((kind) => sharedKinds.includes(kind));
}
