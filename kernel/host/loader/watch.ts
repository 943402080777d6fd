import { existsSync, type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { WaggleError } from '../../errors.js';
import type { Kernel } from '../../kernel.js';
import type { Logger } from '../../logger.js';
import type { Config, PluginEntry } from '../config/read-config.js';
import { extensionsFolder } from './extensions.js';
import { entriesOf, importEntry, logSkipped } from './load-plugins.js';
import { resolvePlugin } from './resolve-plugin.js';

/** Source of a loaded plugin. */
interface Known {
  readonly use: string | undefined;
  /** Its file or folder; undefined for built-in plugins and npm packages, which are not watched. */
  readonly path: string | undefined;
  readonly print: string;
}

const debounceMs = 100;

/**
 * Follows the files of a running kernel's plugins: reloads changed ones, loads those added to the extensions folder, and
 * unloads those removed from it. A new version that fails changes nothing.
 */
export class PluginWatch {
  readonly #kernel: Kernel;
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #known = new Map<string, Known>();
  readonly #issues = new Set<string>();
  readonly #skipped = new Set<string>();
  #watchers: readonly FSWatcher[] = [];
  #generations = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(kernel: Kernel, config: Config, logger: Logger) {
    this.#kernel = kernel;
    this.#config = config;
    this.#logger = logger;
  }

  start(): void {
    this.#watchFolders();
    const { entries, skipped } = entriesOf(this.#config, []);
    for (const entry of entries) this.#known.set(entry.id, knownOf(entry));
    for (const name of skipped.keys()) this.#skipped.add(name);
    this.#watchFolders();
    this.#kernel.bus.on('kernel:state', ({ to }) => {
      if (to === 'draining') this.close();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }

  /** Debounces: an editor writes a file in several steps, and a folder has many files. */
  #touch(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#running
        .then(() => this.#sync())
        .catch((err: unknown) => this.#logger.error({ err }, 'watching the plugins failed'));
    }, debounceMs);
  }

  async #sync(): Promise<void> {
    if (this.#closed) return;
    // Before the files are read, so that a later change triggers another run.
    this.#watchFolders();
    const issues: string[] = [];
    const { entries, skipped } = entriesOf(this.#config, issues);
    for (const [name, why] of skipped) {
      if (!this.#skipped.has(name)) logSkipped(this.#logger, name, why);
      this.#skipped.add(name);
    }
    this.#logIssues(issues);
    for (const [id, { path }] of this.#known)
      if (path && !existsSync(path) && !entries.some((entry) => entry.id === id && entry.use))
        await this.#unload(id);
    // Again when one was refused because of a missing dependency, which may come later in the list.
    for (let again = true; again; ) {
      const outcomes: string[] = [];
      for (const entry of entries) outcomes.push(await this.#bringUp(entry));
      again = outcomes.includes('lacking') && outcomes.includes('loaded');
    }
  }

  async #bringUp(entry: PluginEntry): Promise<'unchanged' | 'loaded' | 'lacking' | 'refused'> {
    const { id } = entry;
    const before = this.#known.get(id);
    const now = knownOf(entry, before?.path);
    if (this.#closed || (before?.use === now.use && before?.print === now.print)) return 'unchanged';
    this.#known.set(id, now);
    try {
      const { plugin, options } = await importEntry(entry, this.#config, this.#logger, ++this.#generations);
      await this.#kernel.reload(plugin, options);
      this.#logger.info({ plugin: id, version: options.version }, before ? 'reloaded' : 'loaded');
      return 'loaded';
    } catch (err) {
      if (WaggleError.is(err, 'KERNEL_START_ABORTED') || WaggleError.is(err, 'KERNEL_STATE'))
        return 'unchanged';
      const runs = this.#kernel.inspect().plugins.some((each) => each.id === id && each.state === 'active');
      this.#logger.error({ err, plugin: id }, runs ? 'not reloaded; the old version runs on' : 'not loaded');
      if (!WaggleError.is(err, 'KERNEL_DEPENDENCY_MISSING')) return 'refused';
      this.#known.delete(id);
      return 'lacking';
    }
  }

  async #unload(id: string): Promise<void> {
    this.#known.delete(id);
    try {
      await this.#kernel.unload(id);
      this.#logger.info({ plugin: id }, 'unloaded');
    } catch (err) {
      // It was not running.
      if (!WaggleError.is(err, 'KERNEL_PLUGIN_UNKNOWN'))
        this.#logger.error({ err, plugin: id }, 'not unloaded cleanly');
    }
  }

  /** Logs each issue once while it lasts. */
  #logIssues(issues: readonly string[]): void {
    for (const issue of issues) if (!this.#issues.has(issue)) this.#logger.error(issue);
    this.#issues.clear();
    for (const issue of issues) this.#issues.add(issue);
  }

  /** Replaces all watchers: a folder that was replaced is another one under the same name. */
  #watchFolders(): void {
    const paths = [...this.#known.values()].flatMap(({ path }) => path ?? []);
    const folders = new Set([extensionsFolder(this.#config), ...paths].flatMap(foldersAt));
    const before = this.#watchers;
    this.#watchers = [...folders].flatMap((folder) => this.#watcherOf(folder) ?? []);
    for (const watcher of before) watcher.close();
  }

  #watcherOf(folder: string): FSWatcher | undefined {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#touch());
      return watcher.on('error', () => this.#touch());
    } catch (err) {
      this.#logger.warn({ err, folder }, 'this folder cannot be watched');
      return undefined;
    }
  }
}

function knownOf(entry: PluginEntry, before?: string): Known {
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
function foldersAt(path: string): readonly string[] {
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
