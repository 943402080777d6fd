import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, type WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Plugin } from '../../plugin.js';
import type { Config, PluginEntry } from '../config/read-config.js';
import { type Imported, importEntry, isImportFailure } from './import-plugin.js';
import { resolvePlugin } from './resolve-plugin.js';

/** The files of one plugin at one time. */
export interface FilesSeen {
  readonly use: string | undefined;
  /** Its file or folder; undefined for built-in plugins and npm packages, which do not change. */
  readonly path: string | undefined;
  readonly print: string;
}

interface Known extends FilesSeen {
  readonly imported?: Imported;
}

/** An imported plugin, or a stand-in for one that could not be imported, with the reason. */
export type ImportedOrNot = Imported & { readonly failure?: WaggleError };

/** The plugins that were imported, each as often as its files have changed. */
export class PluginFiles {
  readonly #logger: Logger;
  /** By id and module: a config that is only planned, or refused, may name another module, and what runs stays known. */
  readonly #known = new Map<string, Known>();
  readonly #last = new Map<string, Known>();
  readonly #failed = new Map<string, Imported & { readonly failure: WaggleError }>();
  #generations = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The files of a plugin when it was imported last, or was to be. */
  seen(id: string): FilesSeen | undefined {
    return this.#last.get(id);
  }

  /**
   * The plugin of an entry, the same one until its files change. One that cannot be imported is a stand-in, which fails in
   * its setup. @throws KERNEL_PLUGIN_INVALID, and a plain Error where there is no such module
   */
  async import(entry: PluginEntry, config: Config): Promise<ImportedOrNot> {
    const { id, optional, origin, config: settings } = entry;
    const now = filesSeen(entry, this.#last.get(id)?.path);
    const key = JSON.stringify([id, now.use, now.path]);
    const before = this.#known.get(key);
    const own = { optional, origin, config: settings };
    if (before?.imported && before.print === now.print) {
      this.#last.set(id, before);
      return { ...before.imported, options: { ...before.imported.options, ...own } };
    }
    // Node.js remembers modules, also those that failed.
    const generation = before ? ++this.#generations : 0;
    this.#keep(id, key, now);
    try {
      const imported = await importEntry(entry, config, this.#logger, generation);
      this.#keep(id, key, { ...now, imported });
      this.#failed.delete(id);
      return imported;
    } catch (error) {
      if (!isImportFailure(error)) throw error;
      const known = this.#failed.get(id);
      const again = known && messageOf(known.failure) === messageOf(error);
      const failed = again ? known : { plugin: failing(id, error), options: { id }, failure: error };
      this.#failed.set(id, failed);
      return { ...failed, options: { id, optional } };
    }
  }

  #keep(id: string, key: string, known: Known): void {
    this.#known.set(key, known);
    this.#last.set(id, known);
  }
}

/** Stand-in for a plugin that could not be imported: it appears in the report and fails in its setup. */
function failing(name: string, error: WaggleError): Plugin {
  return {
    name,
    apiVersion: 1,
    setup: () => {
      throw error;
    },
  };
}

/** The files of an entry now. `before`: its path as it was known. */
export function filesSeen(entry: PluginEntry, before?: string): FilesSeen {
  const path = pathOf(entry) ?? (entry.use ? before : undefined);
  return { use: entry.use, path, print: path ? filesAt(path).map(printOf).join('\n') : '' };
}

function pathOf(entry: PluginEntry): string | undefined {
  try {
    return resolvePlugin(entry.use ?? entry.id, entry.file).path;
  } catch {
    return undefined; // The import reports it.
  }
}

/** The folder at a path with its subfolders, the folder of a file, or the nearest existing one. */
export function foldersAt(path: string): readonly string[] {
  if (!existsSync(path) || !statSync(path).isDirectory()) return [nearestFolder(dirname(path))];
  return [
    path,
    ...childrenOf(path)
      .filter(({ isFolder }) => isFolder)
      .flatMap((child) => foldersAt(child.path)),
  ];
}

function nearestFolder(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : nearestFolder(dirname(path));
}

function filesAt(path: string): readonly string[] {
  if (!existsSync(path) || !statSync(path).isDirectory()) return [path];
  return childrenOf(path).flatMap((child) => (child.isFolder ? filesAt(child.path) : [child.path]));
}

function childrenOf(folder: string): readonly { readonly path: string; readonly isFolder: boolean }[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules' && !name.startsWith('.'))
    .map((child) => ({ path: join(folder, child.name), isFolder: child.isDirectory() }));
}

function printOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path, { throwIfNoEntry: false }) ?? {};
  return [path, mtimeMs, size, ino].join(' ');
}
