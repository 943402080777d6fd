import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf, WaggleError } from '../errors.js';
import type { Kernel, UseOptions } from '../kernel.js';
import type { Logger } from '../logger.js';
import type { Plugin } from '../plugin.js';
import type { Config, PluginEntry } from './read-config.js';
import { nearest } from './schema.js';

/** What went wrong while plugins were imported; empty when nothing did. */
export interface Loaded {
  readonly mistakes: readonly string[];
  /** Plugins whose module threw while it was imported. */
  readonly failures: readonly WaggleError[];
}

const builtIns = new URL('../../plugins/', import.meta.url);
const moduleEndings = ['.js', '.mjs', '.ts'];

/** Imports every plugin of a config and adds it to the kernel. Throws nothing: all that is wrong is returned. */
export async function loadPlugins(kernel: Kernel, config: Config, logger: Logger): Promise<Loaded> {
  const mistakes: string[] = [];
  const failures: WaggleError[] = [];
  const entries = [...config.plugins.filter((entry) => entry.enabled)];
  for (const extension of extensionsOf(config, mistakes)) {
    const at = entries.findIndex((entry) => entry.id === extension.id && !entry.use);
    const known = at === -1 ? undefined : entries[at];
    if (known) entries[at] = { ...known, use: extension.use as string };
    else if (!config.plugins.some((entry) => entry.id === extension.id)) entries.push(extension);
  }

  for (const entry of entries) {
    try {
      const { id, optional, origin } = entry;
      kernel.use(...(await loadEntry(entry, logger, { id, optional, origin, config: entry.config })));
    } catch (error) {
      if (WaggleError.is(error, 'KERNEL_PLUGIN_FAILED')) {
        if (entry.optional) kernel.use(failing(entry.id, error), { id: entry.id, optional: true });
        else failures.push(error);
      } else mistakes.push(`${basename(entry.file)}: ${entry.id}: ${messageOf(error)}`);
    }
  }
  return { mistakes, failures };
}

/** A plugin that could not be imported, and may: it takes its place in the report and fails when its turn comes. */
function failing(name: string, error: WaggleError): Plugin {
  return {
    name,
    apiVersion: 1,
    setup: () => {
      throw error;
    },
  };
}

async function loadEntry(
  entry: PluginEntry,
  logger: Logger,
  options: UseOptions<Plugin>,
): Promise<[Plugin, UseOptions<Plugin>]> {
  const use = entry.use ?? entry.id;
  const load = async (specifier: string): Promise<[Plugin, UseOptions<Plugin>]> => {
    const url = locate(specifier, entry.file);
    const plugin = await importPlugin(entry.id, url);
    const version = plugin?.version ?? packageVersion(dirname(fileURLToPath(url)));
    return [plugin, { ...options, module: url.href, ...(version !== undefined && { version }) }];
  };
  try {
    return await load(use);
  } catch (error) {
    if (!entry.fallback || !WaggleError.is(error, 'KERNEL_PLUGIN_FAILED')) throw error;
    logger.warn(
      { plugin: entry.id, fallback: entry.fallback, node: process.version, why: messageOf(error.cause) },
      `the module of "${use}" cannot be loaded; "${entry.fallback}" takes its place`,
    );
    return load(entry.fallback);
  }
}

async function importPlugin(id: string, url: URL): Promise<Plugin> {
  if (!url.href.startsWith(builtIns.href)) shareThisPackage();
  let module: { readonly default?: Plugin };
  try {
    module = await import(url.href);
  } catch (cause) {
    const why = messageOf(cause);
    throw new WaggleError('KERNEL_PLUGIN_FAILED', { plugin: id, phase: 'import', why }, { cause });
  }
  if (module.default === undefined)
    throw new WaggleError('KERNEL_PLUGIN_INVALID', { plugin: id, why: 'its module has no default export' });
  return module.default;
}

/** The module that `use` names: a built-in plugin, a file or folder beside the config file, or an npm package. */
function locate(use: string, file: string): URL {
  if (/^(?!file:)[a-z][a-z+.-]+:/i.test(use))
    throw new Error(`"${use}" is refused: plugins are built-in names, files, folders or npm packages`);
  if (/^(\.{0,2}[/\\]|file:)/.test(use) || /^[A-Za-z]:[/\\]/.test(use) || use === '.' || use === '..') {
    const path = use.startsWith('file:') ? fileURLToPath(use) : resolve(dirname(file), use);
    const entryPoint = entryPointOf(path);
    if (!entryPoint) throw new Error(`no file or folder with an index.js is at "${use}"`);
    return pathToFileURL(entryPoint);
  }
  const builtIn = /^[\w-]+$/.test(use) && entryPointOf(fileURLToPath(new URL(use, builtIns)));
  if (builtIn) return pathToFileURL(builtIn);
  for (const folder of createRequire(resolve(file)).resolve.paths(use) ?? []) {
    const entryPoint = entryPointOf(join(folder, use));
    if (entryPoint) return pathToFileURL(realpathSync(entryPoint));
  }
  const meant = nearest(use, builtInNames());
  throw new Error(
    `no built-in plugin or npm package is called "${use}"${meant ? `, did you mean "${meant}"?` : '; for a file write ./'}`,
  );
}

/** Names of the plugins that come with the package. */
export function builtInNames(): readonly string[] {
  return readdirSync(builtIns).filter((name) => entryPointOf(fileURLToPath(new URL(name, builtIns))));
}

function entryPointOf(path: string): string | undefined {
  if (isFile(path)) return path;
  const manifest = join(path, 'package.json');
  const main = isFile(manifest) ? mainOf(JSON.parse(readFileSync(manifest, 'utf8'))) : undefined;
  const candidates = main
    ? [main, `${main}.js`, join(main, 'index.js')]
    : moduleEndings.map((ending) => `index${ending}`);
  return candidates.map((candidate) => join(path, candidate)).find(isFile);
}

/** The version of the package that a folder is part of. */
function packageVersion(folder: string): string | undefined {
  const manifest = join(folder, 'package.json');
  if (!isFile(manifest)) return folder === dirname(folder) ? undefined : packageVersion(dirname(folder));
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version?: unknown };
  return typeof version === 'string' ? version : undefined;
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

/** The entry point of a package: the part of Node's rules that a plugin needs (nodejs.org/api/packages.html). */
function mainOf(manifest: { readonly exports?: unknown; readonly main?: unknown }): string | undefined {
  const pick = (target: unknown): string | undefined => {
    if (typeof target === 'string') return target;
    if (typeof target !== 'object' || target === null) return undefined;
    const conditions = target as Record<string, unknown>;
    return ['.', 'node', 'import', 'default'].map((key) => pick(conditions[key])).find(Boolean);
  };
  return pick(manifest.exports) ?? pick(manifest.main);
}

function extensionsOf(config: Config, mistakes: string[]): readonly PluginEntry[] {
  const named = config.extensions;
  const folder = named ? resolve(dirname(named.file), named.folder) : resolve('extensions');
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
  if (!entryPoint || (alone && (!moduleEndings.includes(extname(name)) || name.endsWith('.d.ts'))))
    return undefined;
  if (!realpathSync(entryPoint).startsWith(realpathSync(folder) + sep))
    throw new Error('refused, because it is a link that leads out of the folder');
  const id = alone ? basename(name, extname(name)) : name;
  const origin = { prefix: () => `${id}.`, variable: () => undefined };
  return { id, use, file, origin, optional: false, enabled: true };
}

let shared = false;

/** Lets plugins outside this package write `import … from 'waggle-server'` and get this very copy of it. */
function shareThisPackage(): void {
  if (shared) return;
  shared = true;
  const kernel = new URL('../index.js', import.meta.url).href;
  const hook = `export const resolve = (specifier, context, next) =>
    specifier === 'waggle-server' ? { url: ${JSON.stringify(kernel)}, shortCircuit: true } : next(specifier, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
