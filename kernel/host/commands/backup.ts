import { resolve } from 'node:path';
import { messageOf } from '../../errors.js';
import { checkConfig, createInstance, type PluginInstance } from '../../instance.js';
import { createLogger } from '../../sdk/logger.js';
import { type ConfigOptions, loadConfig } from '../config/load-config.js';
import type { Config } from '../config/read-config.js';
import { importEntry } from '../loader/import-plugin.js';
import { entriesOf } from '../loader/load-plugins.js';
import { exitCodes } from '../stop-signals.js';

const nothingKept =
  'no plugin of this configuration keeps anything in a file; name the --config or the --profile of the server';

/** `waggle backup`: copies the data of the one plugin that has a `backup`. */
export async function backUp(options: ConfigOptions, file: string): Promise<void> {
  const issues: string[] = [];
  const config = await loadConfig(options);
  // An unfinished copy is removed at the exit.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(exitCodes.forced));
  issues.push(...config.issues);
  const failures: string[] = [];
  const entries = await keepersOf(config, issues, failures);
  const [keeper, ...others] = entries;
  if (issues.length === 0 && !keeper) issues.push(nothingKept, ...failures);
  if (others.length > 0)
    issues.push(`more than one plugin can be copied: ${entries.map(({ id }) => id).join(', ')}`);
  if (!keeper || issues.length > 0) return fail(exitCodes.badConfig, issues.join('\n'));
  try {
    const to = resolve(file);
    await keeper.plugin.backup?.(keeper.config, to);
    process.stdout.write(`waggle: the data of ${keeper.id} is copied to "${to}"\n`);
  } catch (error) {
    return fail(exitCodes.failed, `waggle: ${messageOf(error)}`);
  }
}

/** Plugins with a `backup`, with their config. Skips one that cannot be imported, which `failures` says. */
async function keepersOf(
  config: Config,
  issues: string[],
  failures: string[],
): Promise<readonly PluginInstance[]> {
  const logger = createLogger('silent');
  const keepers: PluginInstance[] = [];
  for (const each of entriesOf(config, issues).entries) {
    const imported = await importEntry(each, config, logger).catch((error: unknown) => {
      failures.push(messageOf(error));
    });
    if (!imported?.plugin.backup) continue;
    const entry = createInstance(imported.plugin, imported.options);
    issues.push(...((await checkConfig(entry)) ?? []));
    keepers.push(entry);
  }
  return keepers;
}

function fail(code: number, why: string): void {
  process.stderr.write(`${why}\n`);
  process.exitCode = code;
}
