import { basename } from 'node:path';
import type { Wanted } from '../../contracts/kernel-options.js';
import { messageOf, type WaggleError } from '../../errors.js';
import type { Kernel } from '../../kernel.js';
import type { Logger } from '../../logger.js';
import { nearest } from '../../nearest.js';
import type { Config, PluginEntry } from '../config/read-config.js';
import { type Extensions, extensionsOf } from './extensions.js';
import { PluginFiles } from './plugin-files.js';

/** Failures while plugins were imported; empty when there were none. */
interface Loaded {
  readonly issues: readonly string[];
  /** Plugins whose module threw during its import. */
  readonly failures: readonly WaggleError[];
  readonly plugins: readonly Wanted[];
}

/** Imports every plugin of a config and adds it to the kernel. Never throws: every error is returned. */
export async function loadPlugins(
  kernel: Kernel,
  config: Config,
  logger: Logger,
  files = new PluginFiles(logger),
): Promise<Loaded> {
  const issues: string[] = [];
  const failures: WaggleError[] = [];
  const plugins: Wanted[] = [];
  const { entries, skipped } = entriesOf(config, issues);
  for (const [name, why] of skipped) logSkipped(logger, name, why);
  for (const entry of entries) {
    try {
      const { plugin, options, failure } = await files.import(entry, config);
      kernel.use(plugin, options);
      plugins.push([plugin, options]);
      if (failure && !entry.optional) failures.push(failure);
    } catch (error) {
      issues.push(issueOf(entry, error));
    }
  }
  return { issues, failures, plugins };
}

/** Logs an entry of the extensions folder that is not loaded. */
export function logSkipped(logger: Logger, name: string, why: string): void {
  logger.info({ extension: name, why }, 'left alone in the folder of extensions');
}

/** The enabled plugins of a config and of its extensions folder as it is now. */
export function entriesOf(config: Config, issues: string[]): Extensions {
  const entries = config.plugins.filter((entry) => entry.enabled);
  const { entries: extensions, skipped } = extensionsOf(config, issues);
  for (const extension of extensions) {
    const at = entries.findIndex((entry) => entry.id === extension.id && !entry.use);
    const known = at === -1 ? undefined : entries[at];
    if (known) entries[at] = { ...known, use: extension.use as string };
    else if (!config.plugins.some((entry) => entry.id === extension.id)) entries.push(extension);
  }
  const ids = [...new Set([...config.plugins, ...entries].map(({ id }) => id))];
  for (const id of Object.keys(config.server.logLevels))
    if (!ids.includes(id)) issues.push(unknownLogger(id, ids, config));
  return { entries, skipped };
}

function unknownLogger(id: string, known: readonly string[], { sourceOf }: Config): string {
  const { file = 'config', variable } = sourceOf(['server', 'logLevels', id]) ?? {};
  const meant = nearest(id, known);
  const hint = meant ? `, did you mean "${meant}"?` : '';
  return `${variable ?? basename(file)}: server.logLevels.${id}: the config has no plugin of this name${hint}`;
}

/** The issue of an entry that names no plugin. */
export function issueOf({ id, file }: PluginEntry, error: unknown): string {
  return `${basename(file)}: ${id}: ${messageOf(error)}`;
}
