import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';

/** The names that plugins in the extensions folder may have: those of its files and folders. */
export function extensionNames(named: unknown, file: string | undefined): readonly string[] {
  const folder = typeof named === 'string' && file ? resolve(dirname(file), named) : resolve('extensions');
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return [];
  return readdirSync(folder).map((name) => basename(name, extname(name)));
}
