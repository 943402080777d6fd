import { basename } from 'node:path';
import { z } from '#zod';
import { check, type Origin, type Path } from '../../check.js';
import { isMap } from '../../json-schema.js';
import { logLevels } from '../../sdk/logger.js';
import { milliseconds, millisecondsOrNone } from '../../sdk/milliseconds.js';
import { fromEnvironment } from './environment-texts.js';
import { readYaml } from './read-yaml.js';

const entry = z.strictObject({
  use: z.string().min(1).optional(),
  fallback: z.string().min(1).optional(),
  optional: z.boolean().default(false),
  enabled: z.boolean().default(true),
  config: z.record(z.string(), z.unknown()).optional(),
});

/** Schema of one config file, and of all of them merged. */
export const configFile = z.strictObject({
  server: z
    .strictObject({
      /** The lowest level that is logged. */
      logLevel: z.enum(logLevels).default('info'),
      /** How long running replies may go on after SIGTERM. */
      drainTimeoutMs: millisecondsOrNone.max(3_600_000).default(10_000),
      /** How long one plugin may take for each of setup, ready and stop. */
      pluginTimeoutMs: milliseconds.max(600_000).default(10_000),
    })
    .prefault({}),
  plugins: z.record(z.string(), entry).prefault({}),
  extensions: z.string().min(1).optional(),
});

/** Settings of the process itself. */
export type ServerSettings = z.infer<typeof configFile>['server'];

/** One plugin of a config. */
export interface PluginEntry extends z.infer<typeof entry> {
  readonly id: string;
  /** The file that names its module; relative paths start there. */
  readonly file: string;
  readonly origin: Origin;
}

/** All files of a config merged, and their issues. */
export interface Config {
  readonly server: ServerSettings;
  readonly plugins: readonly PluginEntry[];
  /** The extensions folder, and the file that names it. */
  readonly extensions?: { readonly folder: string; readonly file: string };
  /** One line each. The readable part is returned as well, so that later checks can add their issues. */
  readonly issues: readonly string[];
}

/** Origin of a value of the merged tree. */
interface Source {
  readonly file: string;
  readonly variable?: string;
  readonly unset?: boolean;
}

type Tree = Record<string, unknown>;

/**
 * Reads YAML files, later ones over earlier ones (maps are merged, lists and scalars replaced), and substitutes the
 * environment for `${NAME}` and `${NAME:-default}`. Never throws: every error is in `issues`.
 */
export async function readConfig(
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Config> {
  const issues: string[] = [];
  const sources = new Map<string, Source>();
  const tree: Tree = {};
  for (const path of files) merge(tree, readYaml(path, issues), [], path, sources, issues);
  const filled = substitute(tree, [], env, sources, issues) as Tree;

  const origin = originOf(sources, files, []);
  filled.server ??= {};
  filled.plugins ??= {};
  const plugins = isMap(filled.plugins) ? filled.plugins : {};
  for (const id of Object.keys(plugins)) plugins[id] ??= {};
  const checked = await check(configFile, filled, origin);
  if (checked.issues) issues.push(...checked.issues);
  // The valid parts are still returned, for further checks.
  const value = checked.value ?? (await mend(filled));

  return {
    server: value.server,
    plugins: Object.entries(value.plugins).map(([id, each]) => ({
      ...each,
      id,
      file: sourceOf(sources, ['plugins', id, each.use ? 'use' : 'config'])?.file ?? files.at(-1) ?? '',
      origin: originOf(sources, files, ['plugins', id, 'config'], id),
    })),
    ...(value.extensions && {
      extensions: {
        folder: value.extensions,
        file: sourceOf(sources, ['extensions'])?.file ?? '',
      },
    }),
    issues: [...new Set(issues)],
  };
}

/** The valid parts of an invalid file. */
async function mend(filled: Tree): Promise<z.infer<typeof configFile>> {
  const part = async (name: 'server' | 'extensions') => {
    const { [name]: value } = filled;
    return (await check(configFile, { [name]: value })).issues ? {} : { [name]: value };
  };
  const plugins: Tree = {};
  for (const [id, each] of Object.entries(isMap(filled.plugins) ? filled.plugins : {})) {
    const { value } = await check(entry.strip(), each);
    if (value) plugins[id] = value;
  }
  const mended = await check(configFile, {
    ...(await part('server')),
    ...(await part('extensions')),
    plugins,
  });
  return mended.value ?? configFile.parse({});
}

function merge(
  into: Tree,
  from: unknown,
  path: Path,
  fileName: string,
  sources: Map<string, Source>,
  issues: string[],
): void {
  for (const [key, value] of Object.entries(isMap(from) ? from : {})) {
    const at = [...path, key];
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
      issues.push(`${basename(fileName)}: ${at.join('.')}: this key is not allowed`);
      continue;
    }
    const existing = into[key];
    // The config of a replaced module does not apply to its replacement.
    if (isReplaced(path, existing, value)) delete (existing as Tree).config;
    // A key with nothing under it, for example after commenting it all out, removes nothing.
    if (value === null && isMap(existing)) continue;
    sources.set(idOf(at), { file: fileName });
    if (isMap(value)) {
      const target: Tree = isMap(existing) ? existing : {};
      into[key] = target;
      merge(target, value, at, fileName, sources, issues);
    } else into[key] = value;
  }
}

/** Whether the upper layer names another module for a plugin than the lower one. */
function isReplaced(path: Path, before: unknown, now: unknown): boolean {
  if (path.join() !== 'plugins' || !isMap(before) || !isMap(now)) return false;
  return before.use !== undefined && now.use !== undefined && before.use !== now.use;
}

function substitute(
  value: unknown,
  path: Path,
  env: Readonly<Record<string, string | undefined>>,
  sources: Map<string, Source>,
  issues: string[],
): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => substitute(item, [...path, index], env, sources, issues));
  if (isMap(value)) {
    const fill = (key: string) => substitute(value[key], [...path, key], env, sources, issues);
    // The variables of a disabled plugin need not be set.
    const isOff = path.length === 2 && path[0] === 'plugins' && String(fill('enabled')) === 'false';
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        isOff && key !== 'enabled' && key !== 'optional' ? item : fill(key),
      ]),
    );
  }
  if (typeof value !== 'string' || !value.includes('${')) return value;
  const source = sourceOf(sources, path);
  const say = (what: string, first = '') =>
    issues.push(`${first}${basename(source?.file ?? 'config')}: ${placeOf(path)}: ${what}`);
  return value.replace(/\$\$\{|\$\{([^}]*)\}?/g, (match, inside?: string) => {
    if (inside === undefined) return '${';
    const [, name, fallback] = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inside) ?? [];
    if (!name || !match.endsWith('}') || fallback?.includes('${')) {
      say(`"${match}" is not \${NAME} or \${NAME:-default}`);
      return '';
    }
    const set = env[name];
    const unset = set === undefined && fallback === undefined;
    sources.set(idOf(path), { file: source?.file ?? '', variable: name, unset });
    if (unset) say(`the environment variable ${name} is not set`, `${name}: `);
    // As in a shell, `:-` also applies to a variable that is empty.
    return set || (fallback ?? '');
  });
}

/** A path as messages show it: `transport-uws.port` for `plugins.transport-uws.config.port`. */
function placeOf(path: Path): string {
  if (path[0] !== 'plugins' || path.length < 2) return path.join('.');
  return [path[1], ...path.slice(path[2] === 'config' ? 3 : 2)].join('.');
}

function originOf(
  sources: ReadonlyMap<string, Source>,
  files: readonly string[],
  base: Path,
  shown?: string,
): Origin {
  return fromEnvironment({
    prefix: (path) => {
      const name = basename(sourceOf(sources, [...base, ...path])?.file ?? files.at(-1) ?? 'config');
      return shown === undefined ? `${name}: ` : `${name}: ${shown}.`;
    },
    variable: (path) => sources.get(idOf([...base, ...path]))?.variable,
    unset: (path) => sources.get(idOf([...base, ...path]))?.unset ?? false,
  });
}

/** The source of a value, or else of the nearest value around it. */
function sourceOf(sources: ReadonlyMap<string, Source>, path: Path): Source | undefined {
  for (let length = path.length; length > 0; length--) {
    const found = sources.get(idOf(path.slice(0, length)));
    if (found) return found;
  }
  return undefined;
}

function idOf(path: Path): string {
  return JSON.stringify(path.map(String));
}
