import { realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { UseOptions } from '../../contracts/kernel-options.js';
import { messageOf, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Plugin } from '../../plugin.js';
import { withTimeout } from '../../with-timeout.js';
import type { Config, PluginEntry } from '../config/read-config.js';
import { whyNotImported } from './import-failure.js';
import { generationUrl } from './module-hooks.js';
import { builtIns, packageVersion, type ResolvedPlugin, resolvePlugin } from './resolve-plugin.js';

/** An imported plugin with the options for `kernel.use`. */
export interface Imported {
  readonly plugin: Plugin;
  readonly options: UseOptions<Plugin>;
  /** The file or folder that the config names; undefined for built-in plugins and npm packages. */
  readonly path?: string;
}

/**
 * Imports the plugin of one entry, or its fallback; each generation reloads all of its modules.
 * @throws KERNEL_PLUGIN_FAILED, KERNEL_PLUGIN_TIMEOUT, KERNEL_PLUGIN_INVALID, and a plain Error where there is no such module
 */
export async function importEntry(
  entry: PluginEntry,
  { server }: Pick<Config, 'server'>,
  logger: Logger,
  generation = 0,
): Promise<Imported> {
  const { id, optional, origin, config } = entry;
  const use = entry.use ?? id;
  const load = async (specifier: string): Promise<Imported> => {
    const place = resolvePlugin(specifier, entry.file);
    const plugin = await importPlugin(id, place, generation, server.pluginTimeoutMs);
    const version = plugin?.version ?? packageVersion(dirname(fileURLToPath(place.url)));
    const known = version === undefined ? {} : { version };
    return { ...place, plugin, options: { id, optional, origin, config, module: place.url.href, ...known } };
  };
  try {
    return await load(use);
  } catch (error) {
    if (!entry.fallback || !isImportFailure(error)) throw error;
    logger.warn(
      { plugin: id, fallback: entry.fallback, node: process.version, why: messageOf(error.cause ?? error) },
      `the module of "${use}" cannot be loaded; "${entry.fallback}" takes its place`,
    );
    return load(entry.fallback);
  }
}

async function importPlugin(
  id: string,
  { url, path }: ResolvedPlugin,
  generation: number,
  timeoutMs: number,
): Promise<Plugin> {
  // Plugins outside this package may be TypeScript, and import this copy of it.
  if (!url.href.startsWith(builtIns.href)) await import('./register.js');
  const folder = path && statSync(path).isDirectory() ? path : dirname(fileURLToPath(url));
  if (generation > 0) forgetCommonJs(realpathSync(folder) + sep);
  const { href } = generation > 0 ? generationUrl(url, folder, generation) : url;
  let plugin: Plugin | undefined;
  const run = async () => {
    try {
      const { default: found } = (await import(href)) as { readonly default?: Plugin };
      // The form that compilers give to `export default` in CommonJS.
      const { __esModule: isCompiled, default: inner } = Object(found);
      plugin = isCompiled ? inner : found;
    } catch (cause) {
      const why = path ? whyNotImported(cause, fileURLToPath(url)) : messageOf(cause);
      throw new WaggleError('KERNEL_PLUGIN_FAILED', { plugin: id, phase: 'import', why }, { cause });
    }
  };
  await withTimeout({ plugin: id, phase: 'import', timeoutMs, signal: new AbortController().signal }, run);
  if (plugin === undefined)
    throw new WaggleError('KERNEL_PLUGIN_INVALID', { plugin: id, why: 'its module has no default export' });
  return plugin;
}

export function isImportFailure(
  error: unknown,
): error is WaggleError<'KERNEL_PLUGIN_FAILED' | 'KERNEL_PLUGIN_TIMEOUT'> {
  return WaggleError.is(error, 'KERNEL_PLUGIN_FAILED') || WaggleError.is(error, 'KERNEL_PLUGIN_TIMEOUT');
}

/** Node caches CommonJS modules by path, without the generation. */
function forgetCommonJs(folder: string): void {
  const { cache } = createRequire(import.meta.url);
  for (const path of Object.keys(cache))
    if (path.startsWith(folder) && !path.slice(folder.length).split(sep).includes('node_modules'))
      delete cache[path];
}
