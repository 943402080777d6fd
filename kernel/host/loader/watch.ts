import { existsSync, type FSWatcher, watch } from 'node:fs';
import { WaggleError } from '../../errors.js';
import type { Kernel } from '../../kernel.js';
import type { Logger } from '../../logger.js';
import type { Config, PluginEntry } from '../config/read-config.js';
import { extensionsFolder } from './extensions.js';
import { entriesOf, logSkipped } from './load-plugins.js';
import { type FilesSeen, filesSeen, foldersAt, type PluginFiles } from './plugin-files.js';

const debounceMs = 100;

/** The server whose plugins are watched. */
export interface Watched {
  readonly kernel: Kernel;
  readonly logger: Logger;
  readonly files: PluginFiles;
  /** As it was applied last. */
  readonly config: Config;
  /** Runs one change of the server after the other. */
  inTurn<T>(step: () => Promise<T>): Promise<T>;
}

/**
 * Follows the files of a running kernel's plugins: reloads changed ones, loads those added to the extensions folder, and
 * unloads those removed from it. A new version that fails changes nothing.
 */
export class PluginWatch {
  readonly #server: Watched;
  readonly #kernel: Kernel;
  readonly #logger: Logger;
  readonly #known = new Map<string, FilesSeen>();
  readonly #issues = new Set<string>();
  readonly #skipped = new Set<string>();
  #watchers: readonly FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(server: Watched) {
    this.#server = server;
    this.#kernel = server.kernel;
    this.#logger = server.logger;
  }

  start(): void {
    this.#watchFolders();
    const { skipped } = entriesOf(this.#server.config, []);
    for (const name of skipped.keys()) this.#skipped.add(name);
    this.follow();
  }

  /** Takes the plugins as they are: all of them were brought up to date. */
  follow(): void {
    this.#known.clear();
    for (const entry of entriesOf(this.#server.config, []).entries)
      this.#known.set(entry.id, this.#server.files.seen(entry.id) ?? filesSeen(entry));
    this.#watchFolders();
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
      this.#server
        .inTurn(() => this.#sync())
        .catch((err: unknown) => this.#logger.error({ err }, 'watching the plugins failed'));
    }, debounceMs);
  }

  async #sync(): Promise<void> {
    if (this.#closed) return;
    // Before the files are read, so that a later change triggers another run.
    this.#watchFolders();
    const issues: string[] = [];
    const { entries, skipped } = entriesOf(this.#server.config, issues);
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
    const now = filesSeen(entry, before?.path);
    if (this.#closed || (before?.use === now.use && before?.print === now.print)) return 'unchanged';
    this.#known.set(id, now);
    try {
      const { plugin, options, failure } = await this.#server.files.import(entry, this.#server.config);
      if (failure) throw failure;
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
    const folders = new Set([extensionsFolder(this.#server.config), ...paths].flatMap(foldersAt));
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
