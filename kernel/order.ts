import { WaggleError } from './errors.js';
import { tokenId } from './services.js';

/** A plugin to be ordered. */
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
export function orderPlugins<T extends Orderable>(
  plugins: readonly T[],
  why = 'which no plugin provides',
): readonly T[] {
  const providers = providersOf(plugins);
  const missing = plugins.flatMap((plugin) => missingOf(plugin, providers, why));
  if (missing.length > 0) throw new WaggleError('KERNEL_DEPENDENCY_MISSING', { missing });
  return inOrder(plugins);
}

/** The same where requirements may be missing. @throws KERNEL_DEPENDENCY_CYCLE */
export function inOrder<T extends Orderable>(plugins: readonly T[]): readonly T[] {
  const providers = new Map(plugins.flatMap((plugin) => plugin.provides.map((token) => [token, plugin])));
  const ordered = new Set<T>();
  const visit = (plugin: T, path: readonly T[]): void => {
    if (ordered.has(plugin)) return;
    const start = path.indexOf(plugin);
    if (start !== -1)
      throw new WaggleError('KERNEL_DEPENDENCY_CYCLE', {
        path: [...path.slice(start), plugin].map((each) => each.id),
      });
    for (const token of uses(plugin)) {
      const provider = providers.get(token);
      if (provider) visit(provider, [...path, plugin]);
    }
    ordered.add(plugin);
  };
  for (const plugin of plugins) visit(plugin, []);
  return [...ordered];
}

/** The requirements of a plugin that are not there, one line each. */
export function missingOf(
  { id, requires }: Pick<Orderable, 'id' | 'requires'>,
  there: { has(token: symbol): boolean },
  why: string,
): readonly string[] {
  return requires
    .filter((token) => !there.has(token))
    .map((token) => `"${id}" requires ${tokenId(token)}, ${why}`);
}

/** Plugins with all that depend on them, directly or not, in the order given, which is that of a start. */
export function dependentsOf<T extends Orderable>(ordered: readonly T[], roots: readonly T[]): readonly T[] {
  const lost = new Set<symbol>();
  return ordered.filter((plugin) => {
    const leaves = roots.includes(plugin) || uses(plugin).some((token) => lost.has(token));
    if (leaves) for (const token of plugin.provides) lost.add(token);
    return leaves;
  });
}

/** Plugins by the services that they provide. @throws KERNEL_SERVICE_CONFLICT */
export function providersOf<T extends Orderable>(plugins: readonly T[]): ReadonlyMap<symbol, T> {
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

function uses({ requires, usesOptionally }: Orderable): readonly symbol[] {
  return [...requires, ...usesOptionally];
}
