import { WaggleError } from '../errors.js';
import { Kernel, type KernelOptions } from '../kernel.js';
import type { Logger } from '../logger.js';
import { createLogger, type LogLevel } from '../sdk/logger.js';
import { layersOf } from './config/layers.js';
import { type Config, readConfig } from './config/read-config.js';
import { guardExit } from './exit-guard.js';
import { loadPlugins } from './loader/load-plugins.js';
import { exitCodes } from './stop-signals.js';

/** Options of every command that reads a config. */
export interface ConfigOptions {
  readonly config?: string;
  readonly profile?: string;
}

/** A kernel with the plugins of a config, checked and not started. */
export interface Prepared {
  readonly kernel: Kernel;
  readonly config: Config;
  readonly logger: Logger;
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
  const config = await readConfig(layersOf(options, issues));
  const { logLevel, drainTimeoutMs, pluginTimeoutMs } = config.server;
  const logger = createLogger(options.logLevel ?? logLevel);
  const { onPhase } = options;
  const kernel = new Kernel({ drainTimeoutMs, pluginTimeoutMs, logger, ...(onPhase && { onPhase }) });
  options.onKernel?.(kernel, logger);
  const allowExit = guardExit();
  const { issues: importIssues, failures } = await loadPlugins(kernel, config, logger);
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
  return { kernel, config, logger, failures, allowExit };
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
