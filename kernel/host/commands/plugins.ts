import { messageOf } from '../../errors.js';
import type { ConfigOptions } from '../config/load-config.js';
import { prepare } from '../prepare.js';
import { exitCodes } from '../stop-signals.js';
import { pluginTable } from './plugin-table.js';

/** `waggle plugins`: sets up every plugin, prints a table of them, and tears them down. */
export async function plugins(options: ConfigOptions): Promise<void> {
  const { kernel, failures } = await prepare({ ...options, logLevel: 'silent' });
  const [missing] = failures;
  try {
    const report = await kernel.dryRun();
    const failed = report.plugins.some(({ state }) => state === 'failed');
    process.exitCode = failed ? exitCodes.failed : exitCodes.clean;
    // A handle that a plugin has left open must not delay the exit.
    process.stdout.write(pluginTable(report), () => process.exit());
  } catch (error) {
    // A missing dependency may only follow from a plugin that is missing.
    process.stderr.write(`waggle: ${messageOf(missing ?? error)}\n`);
    process.exit(exitCodes.failed);
  }
}
