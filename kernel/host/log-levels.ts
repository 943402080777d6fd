import type { Logger } from '../logger.js';
import type { LogLevel } from '../sdk/logger.js';

/** The part of the settings of a server that concerns the log. */
export interface LogSettings {
  readonly logLevel: LogLevel;
  readonly logLevels: Readonly<Record<string, LogLevel>>;
}

/** The levels of a server's loggers, which can be changed while it runs. */
export class LogLevels {
  #settings: LogSettings;
  readonly #loggers = new Set<Logger>();
  readonly #plugins = new Map<string, Logger>();

  constructor(root: Logger, settings: LogSettings) {
    this.#settings = settings;
    this.#loggers.add(root);
  }

  /** An option of the kernel: the logger of a plugin, the same for each of its versions. */
  readonly pluginLogger = (parent: Logger, plugin: string): Logger => {
    this.#loggers.add(parent);
    const known = this.#plugins.get(plugin);
    if (known) return known;
    const logger = parent.child({ plugin }, { level: this.#levelOf(plugin) });
    this.#plugins.set(plugin, logger);
    return logger;
  };

  /** Takes effect at once, except for loggers that plugins have made for running work. */
  change(settings: LogSettings): void {
    this.#settings = settings;
    for (const logger of this.#loggers) logger.level = settings.logLevel;
    for (const [plugin, logger] of this.#plugins) logger.level = this.#levelOf(plugin);
  }

  #levelOf(plugin: string): LogLevel {
    const { logLevel, logLevels } = this.#settings;
    return Object.hasOwn(logLevels, plugin) ? (logLevels[plugin] as LogLevel) : logLevel;
  }
}
