import type { DestinationStream } from 'pino';
import type { KernelOptions } from '../contracts/kernel-options.js';
import { WaggleError } from '../errors.js';
import { Kernel } from '../kernel.js';
import type { Logger } from '../logger.js';
import { createLogger, type LogLevel, standardOutput } from '../sdk/logger.js';
import { type ConfigOptions, type LoadedConfig, loadConfig } from './config/load-config.js';
import { guardExit } from './exit-guard.js';
import { loadPlugins } from './loader/load-plugins.js';
import { PluginFiles } from './loader/plugin-files.js';
import { LogLevels } from './log-levels.js';
import { isPretty, type LogFormat, prettyLog } from './pretty-log.js';
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
  /** Runs before the first import of a plugin, because plugins have effects from their import on. */
  readonly onKernel?: (kernel: Kernel, logger: Logger) => void;
}

/** Reads the config, imports the plugins and checks all of it. Ends the process with 78 and every issue found. */
export async function prepare(options: PrepareOptions): Promise<Prepared> {
  const issues: string[] = [];
  const config = await loadConfig(options);
  const { logFormat, drainTimeoutMs, pluginTimeoutMs } = config.server;
  const logSettings = options.logLevel ? { logLevel: options.logLevel, logLevels: {} } : config.server;
  const logger = createLogger(logSettings.logLevel, logIn(logFormat));
  const logLevels = new LogLevels(logger, logSettings);
  const { pluginLogger } = logLevels;
  for (const [former, name] of config.renamed)
    logger.warn({ former, name }, 'the config uses the former name of a plugin');
  const { onPhase } = options;
  const timeouts = { drainTimeoutMs, pluginTimeoutMs };
  const kernel = new Kernel({ ...timeouts, logger, pluginLogger, ...(onPhase && { onPhase }) });
  options.onKernel?.(kernel, logger);
  const allowExit = guardExit();
  const files = new PluginFiles(logger);
  const { issues: importIssues, failures } = await loadPlugins(kernel, config, logger, files);
  process.exitCode = undefined; // A plugin may have set it.
  issues.push(...config.issues, ...importIssues);
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

function logIn(format: LogFormat): DestinationStream {
  const output = standardOutput();
  const hasColours = process.stdout.isTTY === true && !process.env.NO_COLOR;
  return isPretty(format) ? prettyLog(output, hasColours) : output;
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
