import { type FSWatcher, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../logger.js';
import type { ConfigOptions, LoadedConfig } from '../config/load-config.js';

const debounceMs = 200;

/** Calls back when a config file, or the `.env` file, has changed. Folders are watched, as editors and volumes replace files. */
export class ConfigWatch {
  readonly #config: readonly string[];
  readonly #files: readonly string[];
  readonly #onChanged: () => void;
  readonly #watchers: readonly FSWatcher[];
  #print: string;
  #timer: NodeJS.Timeout | undefined;

  constructor({ config }: ConfigOptions, { files }: LoadedConfig, logger: Logger, onChanged: () => void) {
    const folders = [...(config === undefined ? [] : [dirname(resolve(config))]), resolve('.')];
    this.#config = files;
    this.#files = [...files, ...folders.map((folder) => join(folder, '.env'))];
    this.#onChanged = onChanged;
    this.#print = this.#printNow();
    this.#watchers = [...new Set(this.#files.map((file) => dirname(file)))].flatMap((folder) => {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#touch());
        return watcher.on('error', () => this.#touch());
      } catch (err) {
        logger.warn({ err, folder }, 'this folder cannot be watched');
        return [];
      }
    });
  }

  /** Whether it watches all files of a config. */
  isOf({ files }: LoadedConfig): boolean {
    return isDeepStrictEqual(files, this.#config);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }

  /** A file is written in several steps. */
  #touch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const print = this.#printNow();
      if (print === this.#print) return;
      this.#print = print;
      this.#onChanged();
    }, debounceMs);
    this.#timer.unref();
  }

  #printNow(): string {
    const prints = this.#files.map((file) => {
      const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? {};
      return [mtimeMs, size, ino].join(' ');
    });
    return prints.join('\n');
  }
}
