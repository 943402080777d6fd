import { resolve } from 'node:path';
import { messageOf } from '../../errors.js';
import { checkConfig, createInstance, type PluginInstance } from '../../instance.js';
import { createLogger } from '../../logger.js';
import type { Config } from '../config/read-config.js';
import { entriesOf, importEntry } from '../loader/load-plugins.js';

const exitCodes = { copied: 0, failed: 1, badConfig: 78, stopped: 130 } as const;

const nothingKept =
  'no plugin of this configuration keeps anything in a file; name the --config or the --profile of the server';

/** Copies what the one plugin that can be copied keeps: `waggle backup`. Returns the exit code. */
export async function backUp(config: Config, file: string): Promise<number> {
  // The copy that has begun is removed at the exit.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(exitCodes.stopped));
  const issues = [...config.issues];
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
    process.stdout.write(`waggle: what ${keeper.id} keeps is copied to "${to}"\n`);
    return exitCodes.copied;
  } catch (error) {
    return fail(exitCodes.failed, `waggle: ${messageOf(error)}`);
  }
}

/** The plugins that can be copied, with their config; one that cannot be imported is not one of them. */
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

function fail(code: number, why: string): number {
  process.stderr.write(`${why}\n`);
  return code;
}
