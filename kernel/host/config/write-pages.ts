import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Configurable } from './editor-schema.js';
import { keyTable } from './key-table.js';
import { liveTable } from './live-table.js';
import { configFile } from './read-config.js';
import { builtInConfigs, commentsIn, rootOf } from './write-editor-schema.js';

/** Current text of every page with a table between `<!-- config: NAME -->` and `<!-- /config -->`, by path from the root. */
export async function pageTexts(): Promise<ReadonlyMap<string, string>> {
  const root = rootOf(import.meta.url);
  const server: Configurable = {
    name: 'server',
    config: configFile.shape.server,
    docs: commentsIn(readFileSync(new URL('kernel/host/config/read-config.ts', root), 'utf8')),
  };
  const all = [server, ...(await builtInConfigs())];
  const plugins = readdirSync(new URL('plugins/', root)).map((name) => `plugins/${name}/README.md`);
  const pages = ['config/README.md', ...plugins].filter((path) => existsSync(new URL(path, root)));
  return new Map(pages.map((path) => [path, withTables(readFileSync(new URL(path, root), 'utf8'), all)]));
}

function withTables(text: string, all: readonly Configurable[]): string {
  const page = text.replace(
    /(<!-- live keys -->\n).*?(<!-- \/live keys -->)/gs,
    (_, start: string, end: string) => `${start}\n${liveTable(all)}\n\n${end}`,
  );
  return page.replace(
    /(<!-- config: ([\w-]+) -->\n).*?(<!-- \/config -->)/gs,
    (_, start: string, name: string, end: string) => {
      const found = all.find((each) => each.name === name);
      if (!found) throw new Error(`no built-in plugin is called "${name}"`);
      return `${start}\n${keyTable(found)}\n\n${end}`;
    },
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const [path, text] of await pageTexts()) writeFileSync(new URL(path, rootOf(import.meta.url)), text);
