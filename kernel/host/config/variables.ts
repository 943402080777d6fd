import type { Path } from '../../check.js';
import { nearest } from '../../nearest.js';

/** Begins the names of variables that set one key of the config. */
export const settingPrefix = 'WAGGLE__';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One key that an environment variable sets: `WAGGLE__agent_queen__systemPrompt`. */
export interface Setting {
  readonly variable: string;
  readonly path: Path;
  readonly text: string;
}

/** Keys of a plugin's entry; all others are keys of its config. */
const entryKeys = ['use', 'fallback', 'optional', 'enabled'];
const refusedKeys = ['', '__proto__', 'constructor', 'prototype'];

/** Keys that are set by variables, those of whole maps before those of their keys. `plugins` are the known ids. */
export function settingsIn(
  env: Environment,
  plugins: readonly string[],
  issues: string[],
): readonly Setting[] {
  const settings: Setting[] = [];
  const names = Object.keys(env).filter((name) => name.startsWith(settingPrefix));
  for (const variable of names.sort()) {
    const text = env[variable];
    const [first = '', ...keys] = variable.slice(settingPrefix.length).split('__');
    if (text === undefined) continue;
    if (keys.length === 0 || keys.some((key) => refusedKeys.includes(key)))
      issues.push(`${variable}: this names no key; write ${settingPrefix}plugin__key`);
    else if (first === 'server')
      settings.push({ variable, text, path: ['server', ...serverKeys(keys, plugins)] });
    else {
      const id = idOf(first, plugins);
      const [key = ''] = keys;
      const within = entryKeys.includes(key) ? keys : ['config', ...keys];
      if (id) settings.push({ variable, text, path: ['plugins', id, ...within] });
      else issues.push(`${variable}: ${unknown(first, plugins)}`);
    }
  }
  return settings;
}

/** `logLevels` has ids of plugins as its keys. */
function serverKeys(keys: readonly string[], plugins: readonly string[]): readonly string[] {
  return keys.map((key, at) => (keys[at - 1] === 'logLevels' ? (idOf(key, plugins) ?? key) : key));
}

/** The plugin that a variable means, in whose name `_` stands for `-`. */
function idOf(name: string, plugins: readonly string[]): string | undefined {
  return plugins.find((id) => id === name) ?? plugins.find((id) => inVariable(id) === name);
}

function inVariable(id: string): string {
  return id.replaceAll('-', '_');
}

function unknown(name: string, plugins: readonly string[]): string {
  const meant = nearest(name, plugins.map(inVariable));
  const hint = meant && `, did you mean "${settingPrefix}${meant}"?`;
  return `the config has no plugin "${name.replaceAll('_', '-')}"${hint ?? ''}`;
}
