import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { messageOf } from '../../errors.js';
import type { Environment } from './variables.js';

/** The environment of a config: that of the process over that of an `.env` file. */
export interface ConfigEnvironment {
  readonly values: Environment;
  /** The names that only the file sets, and its path. */
  readonly file?: { readonly path: string; readonly names: ReadonlySet<string> };
}

/** Reads `.env` beside the config file, or else in the working directory. */
export function environmentOf(config: string | undefined, issues: string[]): ConfigEnvironment {
  const folders = config === undefined ? ['.'] : [dirname(config), '.'];
  const path = folders.map((folder) => join(resolve(folder), '.env')).find(isFile);
  if (path === undefined) return { values: process.env };
  try {
    const found = parseEnv(readFileSync(path, 'utf8'));
    const names = new Set(Object.keys(found).filter((name) => process.env[name] === undefined));
    return { values: { ...found, ...process.env }, file: { path, names } };
  } catch (error) {
    issues.push(`${path}: cannot be read: ${messageOf(error)}`);
    return { values: process.env };
  }
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
