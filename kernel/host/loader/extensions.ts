import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { messageOf } from '../../errors.js';
import type { Config, PluginEntry } from '../config/read-config.js';
import { entryPointOf, moduleEndings } from './resolve-plugin.js';

export interface Extensions {
  readonly entries: readonly PluginEntry[];
  /** Modules and folders that are not plugins, by name, each with the reason. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** No second dot (a test, a task, a declaration), and no `_` or `.` at the beginning. */
const idShape = /^[A-Za-z\d][\w-]*$/;
const kindShape = /(^|-)(agent|endpoint|monitor|plugin|store|streams|tasks?|trace|transport|ui)(-|$)/;
/** Every plugin has an `apiVersion`, in its entry point or in the module whose default that re-exports. */
const pluginText = /\bapiVersion\b|\bdefinePlugin\b|\bexport\s*\{[^}]*\bdefault\b[^}]*\}\s*from\b/;
const scriptEndings = [...moduleEndings, '.cjs', '.cts'];

/** The extensions folder, whether or not it exists. */
export function extensionsFolder({ extensions: named }: Config): string {
  return named ? resolve(dirname(named.file), named.folder) : resolve('extensions');
}

/** Plugins in the extensions folder now. Modules without a sign of being a plugin are skipped. */
export function extensionsOf(config: Config, issues: string[]): Extensions {
  const named = config.extensions;
  const folder = extensionsFolder(config);
  const file = named?.file ?? folder;
  const entries: PluginEntry[] = [];
  const skipped = new Map<string, string>();
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    if (named) issues.push(`${basename(file)}: extensions: no folder is at "${named.folder}"`);
    return { entries, skipped };
  }
  const configured = new Set(config.plugins.map(({ id }) => id));
  for (const name of readdirSync(folder).sort()) {
    try {
      const found = extensionAt(folder, name, configured);
      if (found?.why !== undefined) skipped.set(name, found.why);
      else if (found) entries.push({ ...entryOf(found.id, join(folder, name)), file });
    } catch (error) {
      issues.push(`extensions: ${name}: ${messageOf(error)}`);
    }
  }
  return { entries, skipped };
}

function entryOf(id: string, use: string): Omit<PluginEntry, 'file'> {
  const origin = { prefix: () => `${id}.`, variable: () => undefined };
  return { id, use, origin, optional: false, enabled: true };
}

function extensionAt(
  folder: string,
  name: string,
  configured: ReadonlySet<string>,
): { readonly id: string; readonly why?: string } | undefined {
  const path = join(folder, name);
  // Broken links, hidden files and dependencies.
  if (!existsSync(path) || name.startsWith('.') || name === 'node_modules') return undefined;
  const alone = !statSync(path).isDirectory();
  if (alone && !scriptEndings.includes(extname(name))) return undefined;
  const id = alone ? basename(name, extname(name)) : name;
  if (!idShape.test(id)) return { id, why: 'its name is not that of a plugin' };
  if (alone && !moduleEndings.includes(extname(name)))
    return { id, why: 'plugins are .js, .mjs, .ts or .mts' };
  const entryPoint = entryPointOf(path);
  if (!entryPoint) return { id, why: 'it has no entry point' };
  if (!realpathSync(entryPoint).startsWith(realpathSync(folder) + sep))
    throw new Error('refused, because it is a link that leads out of the folder');
  if (configured.has(id) || kindShape.test(id) || dependsOnWaggle(path)) return { id };
  if (pluginText.test(readFileSync(entryPoint, 'utf8'))) return { id };
  return { id, why: 'nothing says that it is a plugin: no apiVersion, no waggle-server in its package.json' };
}

function dependsOnWaggle(folder: string): boolean {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return false;
  const { peerDependencies, keywords } = JSON.parse(readFileSync(manifest, 'utf8')) ?? {};
  return Boolean(peerDependencies?.['waggle-server'] ?? keywords?.includes?.('waggle-plugin'));
}
