import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from '../../plugin.js';
import { builtInNames, builtIns, resolvePlugin } from '../loader/resolve-plugin.js';
import { type Configurable, fileSchema } from './editor-schema.js';

/** Sources and `config/` are below this folder, also for what is built into `dist/`. */
export function rootOf(url: string): URL {
  const root = new URL('../../../', url);
  return root.pathname.endsWith('/dist/') ? new URL('../', root) : root;
}

/** The config of every built-in plugin, with the comments of its source in this checkout. */
export async function builtInConfigs(): Promise<readonly Configurable[]> {
  const root = rootOf(import.meta.url);
  const plugins: Configurable[] = [];
  for (const name of builtInNames()) {
    const { url } = resolvePlugin(name, fileURLToPath(builtIns));
    const { config } = ((await import(url.href)) as { readonly default: Plugin }).default;
    const sources = [new URL(`plugins/${name}/config.ts`, root), new URL('kernel/sdk/http/config.ts', root)];
    const source = sources.find((each) => existsSync(each)) as URL;
    plugins.push({ name, ...(config && { config }), docs: commentsIn(readFileSync(source, 'utf8')) });
  }
  return plugins;
}

/** The text of `config/schema.json`. */
export async function schemaText(): Promise<string> {
  return `${JSON.stringify(fileSchema(await builtInConfigs()), null, 2)}\n`;
}

/** The comments in front of keys, by key. */
export function commentsIn(source: string): ReadonlyMap<string, string> {
  const found = source.matchAll(/\/\*\*\s((?:(?!\*\/).)+?)\s*\*\/\s+(\w+):/gs);
  return new Map(
    [...found].map(([, text, key]) => [
      key as string,
      (text as string).replace(/^\s*\*\s*|\s*\n\s*\* ?/g, ' ').trim(),
    ]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(new URL('config/schema.json', rootOf(import.meta.url)), await schemaText());
