import { isDeepStrictEqual } from 'node:util';
import type { Wanted } from '../../contracts/kernel-options.js';
import type { PluginChange } from '../../contracts/report.js';
import { WaggleError } from '../../errors.js';
import type { Kernel } from '../../kernel.js';
import type { Logger } from '../../logger.js';
import { type ConfigOptions, type LoadedConfig, loadConfig } from '../config/load-config.js';
import { entriesOf, issueOf } from '../loader/load-plugins.js';
import type { PluginFiles } from '../loader/plugin-files.js';
import type { LogLevels } from '../log-levels.js';
import type { Shard } from '../shards/shard.js';
import { shardCount } from '../shards/shard-count.js';
import { unsharedIssues } from '../shards/unshared.js';

/** Settings of the server that take effect at once. The others need another process. */
const liveSettings: readonly string[] = ['logLevel', 'logLevels', 'reload'];

/** The difference between a running server and its config as it is now. */
export interface Difference {
  readonly plugins: readonly PluginChange[];
  /** Settings of the server that have changed. */
  readonly settings: readonly string[];
  /** Those among them, and others that changed before, that wait for another process. */
  readonly waiting: readonly string[];
}

/** Whether a change was not made because the server is being stopped. */
export function isStopping(error: unknown): boolean {
  return WaggleError.is(error, 'KERNEL_STATE') || WaggleError.is(error, 'KERNEL_START_ABORTED');
}

/** A running server, before anything was changed. */
export interface LiveServer {
  readonly options: ConfigOptions;
  readonly kernel: Kernel;
  readonly config: LoadedConfig;
  readonly logger: Logger;
  readonly logLevels: LogLevels;
  readonly files: PluginFiles;
  /** This process, where it is one of several. */
  readonly shard: Shard | undefined;
}

/** Keeps a running server equal to its config files, as a whole or not at all. */
export class LiveConfig {
  readonly #server: LiveServer;
  readonly kernel: Kernel;
  readonly logger: Logger;
  readonly files: PluginFiles;
  readonly #started: LoadedConfig;
  #config: LoadedConfig;
  #turn: Promise<unknown> = Promise.resolve();
  #onApplied: () => void = () => {};

  constructor(server: LiveServer) {
    this.#server = server;
    this.kernel = server.kernel;
    this.logger = server.logger;
    this.files = server.files;
    this.#started = server.config;
    this.#config = server.config;
  }

  /** As it was applied last. */
  get config(): LoadedConfig {
    return this.#config;
  }

  onApplied(act: () => void): void {
    this.#onApplied = act;
  }

  inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Says what `apply` would change. @throws as `apply` */
  plan(): Promise<Difference> {
    return this.inTurn(async () => {
      const { config, wanted } = await this.#read();
      return this.#difference(config, await this.kernel.apply(wanted, { dryRun: true }));
    });
  }

  /**
   * Reads the files and the environment again, and makes the server equal to them. Nothing has changed where it rejects.
   * @throws KERNEL_CONFIG_INVALID with all issues; as `kernel.apply`
   */
  apply(): Promise<Difference> {
    return this.inTurn(async () => {
      const { config, wanted } = await this.#read();
      const difference = this.#difference(config, await this.kernel.apply(wanted));
      this.#config = config;
      this.#server.logLevels.change(config.server);
      this.#onApplied();
      return difference;
    });
  }

  async #read(): Promise<{ readonly config: LoadedConfig; readonly wanted: readonly Wanted[] }> {
    const config = await loadConfig(this.#server.options);
    const issues = [...config.issues];
    const wanted: Wanted[] = [];
    for (const entry of entriesOf(config, issues).entries) {
      try {
        const { plugin, options, failure } = await this.files.import(entry, config);
        if (failure && !entry.optional) issues.push(failure.message);
        wanted.push([plugin, options]);
      } catch (error) {
        issues.push(issueOf(entry, error));
      }
    }
    const count = Math.max(shardCount(config.server), this.#server.shard?.count ?? 1);
    issues.push(...unsharedIssues(count, wanted, config));
    if (issues.length > 0) throw new WaggleError('KERNEL_CONFIG_INVALID', { issues: [...new Set(issues)] });
    return { config, wanted };
  }

  #difference({ server }: LoadedConfig, plugins: readonly PluginChange[]): Difference {
    const differing = (from: object) =>
      Object.entries(server)
        .filter(([key, value]) => !isDeepStrictEqual(value, (from as Record<string, unknown>)[key]))
        .map(([key]) => key);
    return {
      plugins,
      settings: differing(this.#config.server).filter((key) => liveSettings.includes(key)),
      waiting: differing(this.#started.server).filter((key) => !liveSettings.includes(key)),
    };
  }
}
