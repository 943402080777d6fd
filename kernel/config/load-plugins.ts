import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, WaggleError } from '../errors.js';
import type { Kernel, UseOptions } from '../kernel.js';
import type { Logger } from '../logger.js';
import type { Plugin } from '../plugin.js';
import { editionOf } from './module-hooks.js';
import { builtIns, entryPointOf, locate, moduleEndings, type Place, packageVersion } from './place.js';
import type { Config, PluginEntry } from './read-config.js';

/** What went wrong while plugins were imported; empty when nothing did. */
export interface Loaded {
  readonly mistakes: readonly string[];
  /** Plugins whose module threw while it was imported. */
  readonly failures: readonly WaggleError[];
}

/** A plugin that was imported, and how it is to be used. */
export interface Imported {
  readonly plugin: Plugin;
  readonly options: UseOptions<Plugin>;
  /** Whether it runs from a file or folder that was named. */
  readonly path?: string;
}

/** Names of the plugins that come with the package. */
export { builtInNames } from './place.js';

/** Imports every plugin of a config and adds it to the kernel. Throws nothing: all that is wrong is returned. */
export async function loadPlugins(kernel: Kernel, config: Config, logger: Logger): Promise<Loaded> {
  const mistakes: string[] = [];
  const failures: WaggleError[] = [];
  for (const entry of entriesOf(config, mistakes)) {
    try {
      const { plugin, options } = await importEntry(entry, logger);
      kernel.use(plugin, options);
    } catch (error) {
      if (WaggleError.is(error, 'KERNEL_PLUGIN_FAILED')) {
        kernel.use(failing(entry.id, error), { id: entry.id, optional: entry.optional });
        if (!entry.optional) failures.push(error);
      } else mistakes.push(`${basename(entry.file)}: ${entry.id}: ${messageOf(error)}`);
    }
  }
  return { mistakes, failures };
}

/** What is to run: the plugins that a config names, and those in its folder of extensions as they are now. */
export function entriesOf(config: Config, mistakes: string[]): readonly PluginEntry[] {
  const entries = config.plugins.filter((entry) => entry.enabled);
  for (const extension of extensionsOf(config, mistakes)) {
    const at = entries.findIndex((entry) => entry.id === extension.id && !entry.use);
    const known = at === -1 ? undefined : entries[at];
    if (known) entries[at] = { ...known, use: extension.use as string };
    else if (!config.plugins.some((entry) => entry.id === extension.id)) entries.push(extension);
  }
  return entries;
}

/** A plugin that could not be imported: it takes its place in the report and fails when its turn comes. */
function failing(name: string, error: WaggleError): Plugin {
  return {
    name,
    apiVersion: 1,
    setup: () => {
      throw error;
    },
  };
}

/**
 * Imports the plugin of one entry, or its fallback; each edition reads all of its modules anew.
 * @throws KERNEL_PLUGIN_FAILED, KERNEL_PLUGIN_INVALID, and an error in words where there is no such module
 */
export async function importEntry(entry: PluginEntry, logger: Logger, edition = 0): Promise<Imported> {
  const { id, optional, origin, config } = entry;
  const use = entry.use ?? id;
  const load = async (specifier: string): Promise<Imported> => {
    const place = locate(specifier, entry.file);
    const plugin = await importPlugin(id, place, edition);
    const version = plugin?.version ?? packageVersion(dirname(fileURLToPath(place.url)));
    const known = version === undefined ? {} : { version };
    return { ...place, plugin, options: { id, optional, origin, config, module: place.url.href, ...known } };
  };
  try {
    return await load(use);
  } catch (error) {
    if (!entry.fallback || !WaggleError.is(error, 'KERNEL_PLUGIN_FAILED')) throw error;
    logger.warn(
      { plugin: id, fallback: entry.fallback, node: process.version, why: messageOf(error.cause) },
      `the module of "${use}" cannot be loaded; "${entry.fallback}" takes its place`,
    );
    return load(entry.fallback);
  }
}

async function importPlugin(id: string, { url, path }: Place, edition: number): Promise<Plugin> {
  // Lets plugins outside this package be TypeScript, and import this very copy of it.
  if (!url.href.startsWith(builtIns.href)) await import('../register.js');
  const folder = path && statSync(path).isDirectory() ? path : dirname(fileURLToPath(url));
  if (edition > 0) forgetCommonJs(realpathSync(folder) + sep);
  let module: { readonly default?: Plugin };
  try {
    module = await import((edition > 0 ? editionOf(url, folder, edition) : url).href);
  } catch (cause) {
    const why = messageOf(cause);
    throw new WaggleError('KERNEL_PLUGIN_FAILED', { plugin: id, phase: 'import', why }, { cause });
  }
  if (module.default === undefined)
    throw new WaggleError('KERNEL_PLUGIN_INVALID', { plugin: id, why: 'its module has no default export' });
  return module.default;
}

/** Node keeps CommonJS modules by their paths alone, whatever the edition. */
function forgetCommonJs(folder: string): void {
  const { cache } = createRequire(import.meta.url);
  for (const path of Object.keys(cache))
    if (path.startsWith(folder) && !path.slice(folder.length).split(sep).includes('node_modules'))
      delete cache[path];
}

/** The folder whose plugins are loaded, too, whether it is there or not. */
export function extensionsFolder({ extensions: named }: Config): string {
  return named ? resolve(dirname(named.file), named.folder) : resolve('extensions');
}

function extensionsOf(config: Config, mistakes: string[]): readonly PluginEntry[] {
  const named = config.extensions;
  const folder = extensionsFolder(config);
  const file = named?.file ?? folder;
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    if (named) mistakes.push(`${basename(file)}: extensions: no folder is at "${named.folder}"`);
    return [];
  }
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      try {
        return extensionAt(folder, name, file) ?? [];
      } catch (error) {
        mistakes.push(`extensions: ${name}: ${messageOf(error)}`);
        return [];
      }
    });
}

function extensionAt(folder: string, name: string, file: string): PluginEntry | undefined {
  const use = join(folder, name);
  const entryPoint = name.startsWith('.') ? undefined : entryPointOf(use);
  const alone = entryPoint === use;
  if (!entryPoint || (alone && (!moduleEndings.includes(extname(name)) || /\.d\.m?ts$/.test(name))))
    return undefined;
  if (!realpathSync(entryPoint).startsWith(realpathSync(folder) + sep))
    throw new Error('refused, because it is a link that leads out of the folder');
  const id = alone ? basename(name, extname(name)) : name;
  const origin = { prefix: () => `${id}.`, variable: () => undefined };
  return { id, use, file, origin, optional: false, enabled: true };
}
