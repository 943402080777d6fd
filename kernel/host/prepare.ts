import type { HostService, KernelOptions } from '../contracts/kernel-options.js';
import { Shards } from '../contracts/shards.js';
import { WaggleError } from '../errors.js';
import { Kernel } from '../kernel.js';
import type { Logger } from '../logger.js';
import type { LogLevel } from '../sdk/logger.js';
import { type ConfigOptions, type LoadedConfig, loadConfig } from './config/load-config.js';
import { guardExit } from './exit-guard.js';
import { loadPlugins } from './loader/load-plugins.js';
import { PluginFiles } from './loader/plugin-files.js';
import { LogLevels } from './log-levels.js';
import { loggerOf } from './server-log.js';
import type { Shard } from './shards/shard.js';
import { shardCount } from './shards/shard-count.js';
import { unsharedIssues } from './shards/unshared.js';
import { exitCodes } from './stop-signals.js';

/** A kernel with the plugins of a config, checked and not started. */
export interface Prepared {
  readonly kernel: Kernel;
  readonly config: LoadedConfig;
  readonly logger: Logger;
  readonly logLevels: LogLevels;
  readonly files: PluginFiles;
  /** Plugins that could not be imported. */
  readonly failures: readonly WaggleError[];
  /** Until this is called, `process.exit` throws in a plugin. */
  readonly allowExit: () => void;
}

interface PrepareOptions extends ConfigOptions, Pick<KernelOptions, 'onPhase'> {
  readonly logLevel?: LogLevel;
  /** The config, where it was read already. */
  readonly loaded?: LoadedConfig;
  /** This process, where it is one of several. */
  readonly shard?: Shard | undefined;
  /** Runs before the first import of a plugin, because plugins have effects from their import on. */
  readonly onKernel?: (kernel: Kernel, logger: Logger) => void;
}

/** Reads the config, imports the plugins and checks all of it. Ends the process with 78 and every issue found. */
export async function prepare(options: PrepareOptions): Promise<Prepared> {
  const issues: string[] = [];
  const { shard, loaded: config = await loadConfig(options) } = options;
  const { drainTimeoutMs, pluginTimeoutMs } = config.server;
  const logSettings = options.logLevel ? { logLevel: options.logLevel, logLevels: {} } : config.server;
  const logger = loggerOf({ ...config.server, ...logSettings }, shard?.index);
  shard?.logTo(logger);
  const logLevels = new LogLevels(logger, logSettings);
  const { pluginLogger } = logLevels;
  for (const [former, name] of config.renamed)
    logger.warn({ former, name }, 'the config uses the former name of a plugin');
  const { onPhase } = options;
  const timeouts = { drainTimeoutMs, pluginTimeoutMs };
  const services: readonly HostService[] = shard ? [[Shards, shard]] : [];
  const kernel = new Kernel({ ...timeouts, services, logger, pluginLogger, ...(onPhase && { onPhase }) });
  options.onKernel?.(kernel, logger);
  const allowExit = guardExit();
  const files = new PluginFiles(logger);
  const { issues: importIssues, failures, plugins } = await loadPlugins(kernel, config, logger, files);
  process.exitCode = undefined; // A plugin may have set it.
  const count = shard?.count ?? shardCount(config.server);
  issues.push(...config.issues, ...importIssues, ...unsharedIssues(count, plugins, config));
  const found = await kernel.check().catch((error: WaggleError) => error);
  if (WaggleError.is(found, 'KERNEL_CONFIG_INVALID')) issues.push(...found.details.issues);
  // A missing dependency may only follow from a plugin that is missing.
  else if (found instanceof WaggleError && issues.length + failures.length === 0) issues.push(found.message);
  if (issues.length > 0) {
    process.stderr.write(`${issues.join('\n')}\n`);
    process.exit(exitCodes.badConfig);
  }
  return { kernel, config, logger, logLevels, files, failures, allowExit };
}

/** As `prepare`. Ends the process with 1 as well, where a plugin could not be imported. */
export async function prepareWhole(options: PrepareOptions): Promise<Prepared> {
  const prepared = await prepare(options);
  const { failures, logger } = prepared;
  const [failure] = failures;
  if (failure) {
    for (const err of failures) logger.fatal({ err }, 'a plugin could not be imported');
    process.stderr.write(`waggle: ${failure.message}\n`);
    process.exit(exitCodes.failed);
  }
  return prepared;
}
