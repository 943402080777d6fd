import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { nearest } from '../../nearest.js';

export interface ResolvedPlugin {
  readonly url: URL;
  /** The file or folder that the config names; undefined for built-in plugins and npm packages. */
  readonly path?: string;
}

export const builtIns = new URL('../../../plugins/', import.meta.url);
export const moduleEndings: readonly string[] = ['.js', '.mjs', '.ts', '.mts'];

/** The module that `use` names: a built-in plugin, a file or folder beside the config file, or an npm package. */
export function resolvePlugin(use: string, file: string): ResolvedPlugin {
  if (/^(?!file:)[a-z][a-z+.-]+:/i.test(use))
    throw new Error(`"${use}" is refused: plugins are built-in names, files, folders or npm packages`);
  if (/^(\.{0,2}[/\\]|file:)/.test(use) || /^[A-Za-z]:[/\\]/.test(use) || use === '.' || use === '..') {
    const path = use.startsWith('file:') ? fileURLToPath(use) : resolve(dirname(file), use);
    const entryPoint = entryPointOf(path);
    if (!entryPoint) throw new Error(`no file or folder with an index.js is at "${use}"`);
    return { url: pathToFileURL(entryPoint), path };
  }
  const builtIn = /^[\w-]+$/.test(use) && entryPointOf(fileURLToPath(new URL(use, builtIns)));
  if (builtIn) return { url: pathToFileURL(builtIn) };
  for (const folder of createRequire(resolve(file)).resolve.paths(use) ?? []) {
    const entryPoint = entryPointOf(join(folder, use));
    if (entryPoint) return { url: pathToFileURL(realpathSync(entryPoint)) };
  }
  const meant = nearest(use, builtInNames());
  throw new Error(
    `no built-in plugin or npm package is called "${use}"${meant ? `, did you mean "${meant}"?` : '; for a file write ./'}`,
  );
}

export function builtInNames(): readonly string[] {
  return readdirSync(builtIns, { withFileTypes: true })
    .filter((each) => each.isDirectory() && entryPointOf(fileURLToPath(new URL(each.name, builtIns))))
    .map(({ name }) => name);
}

/** The module at a path: the file itself, or the entry point of a folder. */
export function entryPointOf(path: string): string | undefined {
  if (isFile(path)) return path;
  const manifest = join(path, 'package.json');
  const mains = isFile(manifest) ? mainsOf(JSON.parse(readFileSync(manifest, 'utf8'))) : [];
  const candidates =
    mains.length > 0
      ? mains.flatMap((main) => [main, `${main}.js`, join(main, 'index.js')])
      : moduleEndings.map((ending) => `index${ending}`);
  return candidates.map((candidate) => join(path, candidate)).find(isFile);
}

export function packageVersion(folder: string): string | undefined {
  const manifest = join(folder, 'package.json');
  if (!isFile(manifest)) return folder === dirname(folder) ? undefined : packageVersion(dirname(folder));
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version?: unknown };
  return typeof version === 'string' ? version : undefined;
}

/**
 * Entry points of a package, the best first: its `source`, which runs without a build, then those by the part of Node's
 * rules that a plugin needs (nodejs.org/api/packages.html).
 */
function mainsOf(manifest: { readonly exports?: unknown; readonly main?: unknown }): readonly string[] {
  const pick = (target: unknown): readonly string[] => {
    if (typeof target === 'string') return [target];
    if (typeof target !== 'object' || target === null) return [];
    const conditions = target as Record<string, unknown>;
    const { source } = conditions;
    const built = ['.', 'node', 'import', 'default'].map((key) => pick(conditions[key]));
    return [...pick(source), ...(built.find(({ length }) => length > 0) ?? [])];
  };
  const exported = pick(manifest.exports);
  return exported.length > 0 ? exported : pick(manifest.main);
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
