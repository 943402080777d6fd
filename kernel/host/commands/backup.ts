import { resolve } from 'node:path';
import { messageOf } from '../../errors.js';
import { checkConfig, createEntry, type Entry } from '../../instance.js';
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
  const mistakes = [...config.mistakes];
  const failures: string[] = [];
  const entries = await keepersOf(config, mistakes, failures);
  const [keeper, ...others] = entries;
  if (mistakes.length === 0 && !keeper) mistakes.push(nothingKept, ...failures);
  if (others.length > 0)
    mistakes.push(`more than one plugin can be copied: ${entries.map(({ id }) => id).join(', ')}`);
  if (!keeper || mistakes.length > 0) return fail(exitCodes.badConfig, mistakes.join('\n'));
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
async function keepersOf(config: Config, mistakes: string[], failures: string[]): Promise<readonly Entry[]> {
  const logger = createLogger('silent');
  const keepers: Entry[] = [];
  for (const each of entriesOf(config, mistakes).entries) {
    const imported = await importEntry(each, config, logger).catch((error: unknown) => {
      failures.push(messageOf(error));
    });
    if (!imported?.plugin.backup) continue;
    const entry = createEntry(imported.plugin, imported.options);
    mistakes.push(...((await checkConfig(entry)) ?? []));
    keepers.push(entry);
  }
  return keepers;
}

function fail(code: number, why: string): number {
  process.stderr.write(`${why}\n`);
  return code;
}
