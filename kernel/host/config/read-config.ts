import { basename, resolve } from 'node:path';
import { z } from '#zod';
import { checkNow, type Origin, type Path } from '../../check.js';
import { isMap } from '../../json-schema.js';
import { logLevels } from '../../sdk/logger.js';
import { milliseconds, millisecondsOrNone } from '../../sdk/milliseconds.js';
import { logFormats } from '../pretty-log.js';
import { fromEnvironment, fromEnvironmentWhereKnown } from './environment-texts.js';
import { extensionNames } from './extension-names.js';
import { readYaml, type YamlFile } from './read-yaml.js';
import { type Environment, settingsIn } from './variables.js';

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
      /** The lowest level of single plugins: `{ agent-ollama: debug }`. */
      logLevels: z.record(z.string(), z.enum(logLevels)).default({}),
      /** Whether a changed file is applied at once, as `waggle apply` does it. */
      reload: z.boolean().default(false),
      /** `auto`: lines for people on a terminal, lines of JSON elsewhere. */
      logFormat: z.enum(logFormats).default('auto'),
      /** Processes on one port, for a machine with several cores; `auto`: one for each core. Needs [plugins on Redis](cluster.md#several-processes-on-one-machine). */
      shards: z.union([z.int().min(1).max(256), z.literal('auto')]).default(1),
      /** How long running replies may go on after SIGTERM. */
      drainTimeoutMs: millisecondsOrNone.max(3_600_000).default(10_000),
      /** How long one plugin may take for each of setup, ready and stop. */
      pluginTimeoutMs: milliseconds.max(600_000).default(10_000),
    })
    .prefault({}),
  plugins: z.record(z.string(), entry).prefault({}),
  extensions: z.string().min(1).optional(),
});

export type ServerSettings = z.infer<typeof configFile>['server'];

/** Plugins by a former name. */
const formerNames: Readonly<Record<string, string>> = { 'endpoint-openai': 'endpoint-completions' };

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
  /** Former names of plugins in the files, each with the new one. */
  readonly renamed: readonly (readonly [string, string])[];
  /** The place that a value was set at; undefined for a default of a schema. */
  sourceOf(path: Path): ValueSource | undefined;
  /** One line each. The readable part is returned as well, so that later checks can add their issues. */
  readonly issues: readonly string[];
}

/** The place that a value was set at. */
export interface ValueSource {
  readonly file: string;
  readonly line?: number | undefined;
  /** The environment variable that it was taken from. */
  readonly variable?: string | undefined;
}

/** Origin of a value of the merged tree. */
interface Source {
  readonly file: string;
  /** The variable that its text names, or that sets it as a whole. */
  readonly variable?: string;
  readonly unset?: boolean;
  /** Not set by that variable, which is not set, but by the default in its text. */
  readonly isDefault?: boolean;
  /** Set by a variable alone. */
  readonly isSetting?: boolean;
}

type Tree = Record<string, unknown>;

/**
 * Reads YAML files, later ones over earlier ones (maps are merged, lists and scalars replaced), and substitutes the
 * environment for `${NAME}` and `${NAME:-default}`. Variables `WAGGLE__plugin__key` are the highest layer. Never throws: every error is in `issues`.
 */
export async function readConfig(files: readonly string[], env: Environment = process.env): Promise<Config> {
  const issues: string[] = [];
  const sources = new Map<string, Source>();
  const tree: Tree = {};
  const renamed = new Map<string, string>();
  const read = new Map<string, YamlFile>();
  for (const path of files) {
    const yaml = readYaml(path, issues);
    read.set(path, yaml);
    merge(tree, underNewNames(yaml.value, renamed), [], path, sources, issues);
  }
  const folder = sourceOf(sources, ['extensions'])?.file;
  const named = substitute(tree.extensions, ['extensions'], env, sources, []);
  const known = [...Object.keys(isMap(tree.plugins) ? tree.plugins : {}), ...extensionNames(named, folder)];
  for (const { path, text, variable } of settingsIn(env, known, issues)) {
    const why = set(tree, path, text);
    if (why) issues.push(`${variable}: ${why}`);
    // Relative paths start in the working directory.
    sources.set(idOf(path), { file: resolve('environment'), variable, isSetting: true });
  }
  const filled = substitute(tree, [], env, sources, issues) as Tree;

  const origin = originOf(sources, files, []);
  filled.server ??= {};
  filled.plugins ??= {};
  const plugins = isMap(filled.plugins) ? filled.plugins : {};
  for (const id of Object.keys(plugins)) plugins[id] ??= {};
  const checked = await checkNow(configFile, filled, origin);
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
    renamed: [...renamed],
    sourceOf: (path) => {
      const { at, source } = nearestSource(sources, path);
      // A key that nothing sets is in a map that something sets; the items of a list are set with the list.
      if (!source || (at < path.length && !source.isSetting && typeof path[at] !== 'number'))
        return undefined;
      const { file, variable, isDefault, isSetting } = source;
      const line = isSetting ? undefined : read.get(file)?.lineOf(path);
      return { file, line, variable: isDefault ? undefined : variable };
    },
    issues: [...new Set(issues)],
  };
}

/** A file with the plugins that it lists under their former names under the new ones. */
function underNewNames(file: unknown, renamed: Map<string, string>): unknown {
  if (!isMap(file) || !isMap(file.plugins)) return file;
  const newNameOf = (name: string) => {
    const now = Object.hasOwn(formerNames, name) ? formerNames[name] : undefined;
    if (now) renamed.set(name, now);
    return now ?? name;
  };
  const plugins: Tree = {};
  for (const [id, entry] of Object.entries(file.plugins)) {
    const used =
      isMap(entry) && typeof entry.use === 'string' ? { ...entry, use: newNameOf(entry.use) } : entry;
    plugins[isMap(entry) && entry.use ? id : newNameOf(id)] = used;
  }
  return { ...file, plugins };
}

/** The valid parts of an invalid file. */
async function mend(filled: Tree): Promise<z.infer<typeof configFile>> {
  const part = async (name: 'server' | 'extensions') => {
    const { [name]: value } = filled;
    return (await checkNow(configFile, { [name]: value })).issues ? {} : { [name]: value };
  };
  const plugins: Tree = {};
  for (const [id, each] of Object.entries(isMap(filled.plugins) ? filled.plugins : {})) {
    const { value } = await checkNow(entry.strip(), each);
    if (value) plugins[id] = value;
  }
  const mended = await checkNow(configFile, {
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

/** Puts a text into the tree, with the maps above it. Returns why it cannot. */
function set(tree: Tree, path: Path, text: string): string | undefined {
  let at = tree;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const next = at[key] ?? {};
    if (!isMap(next)) return `${placeOf(path.slice(0, depth + 1))} is set as a whole, and is no map`;
    at[key] = next;
    at = next;
  }
  at[path.at(-1) as string] = text;
  return undefined;
}

/** Whether the upper layer names another module for a plugin than the lower one. */
function isReplaced(path: Path, before: unknown, now: unknown): boolean {
  if (path.join() !== 'plugins' || !isMap(before) || !isMap(now)) return false;
  return before.use !== undefined && now.use !== undefined && before.use !== now.use;
}

function substitute(
  value: unknown,
  path: Path,
  env: Environment,
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
  if (source?.isSetting) return value;
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
    sources.set(idOf(path), { file: source?.file ?? '', variable: name, unset, isDefault: !set });
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
  const convert = shown === undefined ? fromEnvironmentWhereKnown : fromEnvironment;
  return convert({
    prefix: (path) => {
      const source = sourceOf(sources, [...base, ...path]);
      if (source?.isSetting) return shown === undefined ? '' : `${shown}.`;
      const name = basename(source?.file ?? files.at(-1) ?? 'config');
      return shown === undefined ? `${name}: ` : `${name}: ${shown}.`;
    },
    variable: (path) => sourceOf(sources, [...base, ...path])?.variable,
    unset: (path) => sources.get(idOf([...base, ...path]))?.unset ?? false,
  });
}

/** The source of a value, or else of the nearest value around it. */
function sourceOf(sources: ReadonlyMap<string, Source>, path: Path): Source | undefined {
  return nearestSource(sources, path).source;
}

/** The same with the number of keys that lead to it. */
function nearestSource(
  sources: ReadonlyMap<string, Source>,
  path: Path,
): { readonly at: number; readonly source?: Source } {
  for (let at = path.length; at > 0; at--) {
    const source = sources.get(idOf(path.slice(0, at)));
    if (source) return { at, source };
  }
  return { at: 0 };
}

function idOf(path: Path): string {
  return JSON.stringify(path.map(String));
}
