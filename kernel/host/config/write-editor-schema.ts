import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from '../../plugin.js';
import { builtInNames, builtIns, resolvePlugin } from '../loader/resolve-plugin.js';
import { type Configurable, fileSchema } from './editor-schema.js';

/** The folder of the checkout, for sources and for files in `dist/`. */
export function rootOf(url: string): URL {
  const root = new URL('../../../', url);
  return root.pathname.endsWith('/dist/') ? new URL('../', root) : root;
}

/** Configs of all built-in plugins, with the comments of their sources. */
export async function builtInConfigs(): Promise<readonly Configurable[]> {
  const root = rootOf(import.meta.url);
  const shared = ['http', 'dialect', 'redis'].map((room) => ({
    door: `'#sdk/${room}'`,
    docs: commentsIn(readFileSync(new URL(`kernel/sdk/${room}/config.ts`, root), 'utf8')),
  }));
  const plugins: Configurable[] = [];
  for (const name of builtInNames()) {
    const { url } = resolvePlugin(name, fileURLToPath(builtIns));
    const { config, live } = ((await import(url.href)) as { readonly default: Plugin }).default;
    const own = ['config.ts', 'index.ts']
      .map((file) => new URL(`plugins/${name}/${file}`, root))
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, 'utf8'));
    const used = shared.filter(({ door }) => own.some((text) => text.includes(door)));
    const docs = [...used.flatMap((room) => [...room.docs]), ...own.flatMap((text) => [...commentsIn(text)])];
    plugins.push({ name, ...(config && { config }), ...(live && { live }), docs: new Map(docs) });
  }
  return plugins;
}

/** Text of `config/schema.json`, generated from the plugins of this checkout. */
export async function schemaText(): Promise<string> {
  return `${JSON.stringify(fileSchema(await builtInConfigs()), null, 2)}\n`;
}

/** Comments by the key they precede. */
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
