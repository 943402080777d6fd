import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

const pluginPages = readdirSync(`${root}plugins`, { withFileTypes: true })
  .filter((each) => each.isDirectory())
  .map(({ name }) => `plugins/${name}/README.md`);

/** Pages for users and authors of plugins, by their path from the root. */
export const pages: readonly string[] = [
  'README.md',
  'kernel/README.md',
  'kernel/sdk/README.md',
  'plugins/README.md',
  ...pluginPages.filter((path) => existsSync(`${root}${path}`)),
  'config/README.md',
  'config/cluster.md',
  'test/README.md',
];

/** The text of a page. */
export function pageText(path: string): string {
  return readFileSync(`${root}${path}`, 'utf8');
}

/** The text of all of them. */
export const allPages: string = pages.map(pageText).join('\n');

/** The code block that a page marks with this name. */
export function example(name: string): string {
  const [, code] = new RegExp(`<!-- example: ${name} -->\n\`\`\`\\w+\n(.*?)\`\`\``, 's').exec(allPages) ?? [];
  if (!code) throw new Error(`no page has an example "${name}"`);
  return code;
}
