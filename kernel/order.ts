import { WaggleError } from './errors.js';
import { tokenId } from './services.js';

/** What ordering needs to know of a plugin. */
export interface Orderable {
  readonly id: string;
  readonly requires: readonly symbol[];
  readonly usesOptionally: readonly symbol[];
  readonly provides: readonly symbol[];
}

/**
 * Providers before their users; otherwise the order given.
 * @throws KERNEL_SERVICE_CONFLICT, KERNEL_DEPENDENCY_MISSING (all of them at once), KERNEL_DEPENDENCY_CYCLE (with its path).
 */
export function orderPlugins<T extends Orderable>(plugins: readonly T[]): readonly T[] {
  const providers = providersOf(plugins);
  const missing = plugins.flatMap((plugin) =>
    plugin.requires
      .filter((token) => !providers.has(token))
      .map((token) => `"${plugin.id}" requires ${tokenId(token)}, which no plugin provides`),
  );
  if (missing.length > 0) throw new WaggleError('KERNEL_DEPENDENCY_MISSING', { missing });

  const ordered = new Set<T>();
  const visit = (plugin: T, path: readonly T[]): void => {
    if (ordered.has(plugin)) return;
    const start = path.indexOf(plugin);
    if (start !== -1)
      throw new WaggleError('KERNEL_DEPENDENCY_CYCLE', {
        path: [...path.slice(start), plugin].map((each) => each.id),
      });
    for (const token of [...plugin.requires, ...plugin.usesOptionally]) {
      const provider = providers.get(token);
      if (provider) visit(provider, [...path, plugin]);
    }
    ordered.add(plugin);
  };
  for (const plugin of plugins) visit(plugin, []);
  return [...ordered];
}

/** The plugin `id` and everything that, directly or not, holds something it provides; in the order given. */
export function dependentsOf<T extends Orderable>(ordered: readonly T[], id: string): readonly T[] {
  const lost = new Set<symbol>();
  return ordered.filter((plugin) => {
    const leaves =
      plugin.id === id || [...plugin.requires, ...plugin.usesOptionally].some((token) => lost.has(token));
    if (leaves) for (const token of plugin.provides) lost.add(token);
    return leaves;
  });
}

/**
 * Whether a plugin can join those that run: everything it requires is there, and nothing it provides is taken, by them
 * or by those that wait to come back.
 * @throws KERNEL_SERVICE_CONFLICT, KERNEL_DEPENDENCY_MISSING (all of them at once)
 */
export function assertCanJoin(
  plugin: Orderable,
  running: readonly Orderable[],
  waiting: readonly Orderable[],
): void {
  providersOf([...running, ...waiting, plugin]);
  const providers = providersOf(running);
  const missing = plugin.requires
    .filter((token) => !providers.has(token))
    .map((token) => `"${plugin.id}" requires ${tokenId(token)}, which no running plugin provides`);
  if (missing.length > 0) throw new WaggleError('KERNEL_DEPENDENCY_MISSING', { missing });
}

function providersOf<T extends Orderable>(plugins: readonly T[]): ReadonlyMap<symbol, T> {
  const providers = new Map<symbol, T>();
  for (const plugin of plugins)
    for (const token of plugin.provides) {
      const taken = providers.get(token);
      if (taken)
        throw new WaggleError('KERNEL_SERVICE_CONFLICT', {
          service: tokenId(token),
          owner: taken.id,
          plugin: plugin.id,
        });
      providers.set(token, plugin);
    }
  return providers;
}
