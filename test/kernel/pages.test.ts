import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { pageTexts } from '../../kernel/host/config/write-pages.js';
import { pages, pageText } from '../support/pages.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const linked = [
  ...pages,
  '.github/CONTRIBUTING.md',
  '.github/SECURITY.md',
  'CHANGELOG.md',
  'test/bench/RESULTS.md',
];

/** The text of a page without its code. */
function prose(path: string): string {
  return pageText(path).replace(/^```.*?^```$/gms, '');
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(path: string): readonly string[] {
  const headings = prose(path).matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, text]) =>
    (text as string)
      .toLowerCase()
      .replace(/[^\p{L}\d _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Relative links of a page that lead nowhere. */
function brokenLinks(path: string): readonly string[] {
  const text = prose(path).replace(/`[^`\n]*`/g, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link as string);
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file, anchor] = link.split('#') as [string, string | undefined];
    const target = file ? join(dirname(path), file) : path;
    if (!existsSync(root + target)) return true;
    return anchor !== undefined && !(target.endsWith('.md') && anchorsOf(target).includes(anchor));
  });
}

describe('the pages', () => {
  it('are found, and so are their links and anchors', () => {
    expect(pages.length).toBeGreaterThan(25);
    expect(anchorsOf('README.md')).toContain('one-request-from-socket-to-socket');
    expect(prose('README.md')).toContain('](kernel/README.md#write-a-plugin)');
  });

  it.each(linked)('%s has no broken link', (path) => {
    expect(brokenLinks(path)).toEqual([]);
  });

  it('begin with one that is read in a few minutes', () => {
    expect(pageText('README.md').split('\n').length).toBeLessThanOrEqual(150);
  });

  it('have the config keys of today', async () => {
    const stale = [...(await pageTexts())].filter(([path, text]) => text !== pageText(path));
    expect(
      stale.map(([path]) => path),
      'run: npm run schema',
    ).toEqual([]);
  });

  it.each(pages)('%s says what each config key is for', (path) => {
    expect(pageText(path)).not.toMatch(/^\| `\w+` \|.*\| {2}\|$/m);
  });

  it('have the config keys of every plugin', () => {
    const plugins = readdirSync(join(root, 'plugins')).filter((name) =>
      statSync(join(root, 'plugins', name)).isDirectory(),
    );
    for (const name of plugins)
      expect(/\bconfig\b/.test(readFileSync(join(root, 'plugins', name, 'index.ts'), 'utf8'))).toBe(
        pageText(`plugins/${name}/README.md`).includes(`<!-- config: ${name} -->`),
      );
  });

  it('list every environment variable that is read', () => {
    const yaml = readdirSync(join(root, 'config')).filter((name) => name.endsWith('.yaml'));
    const sources = readdirSync(join(root, 'kernel/host'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `kernel/host/${name}`);
    const text = [...yaml.map((name) => `config/${name}`), ...sources].map(pageText).join('\n');
    const read = [...text.matchAll(/\$\{(?!NAME)([A-Z_]+):-|process\.env\.([A-Z_]+)/g)].map(
      ([, a, b]) => a ?? b,
    );
    const rows = [...pageText('config/README.md').matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
    expect(read.length).toBeGreaterThan(5);
    expect(read.filter((name) => !rows.includes(name))).toEqual([]);
  });

  it('say where each frame is written', () => {
    const [, table = ''] =
      /## Where frames are written\n(.*)/s.exec(pageText('plugins/endpoint-ws/README.md')) ?? [];
    const rows = [...table.matchAll(/^\| (`.*?) \| \[.*?\]\((.*?)\) \|$/gm)];
    const written = rows.flatMap(([, frames, file]) =>
      [...(frames as string).matchAll(/`(\w+)`/g)].map(([, type]) => [type, file] as const),
    );
    for (const [type, file] of written)
      expect(pageText(join('plugins/endpoint-ws', file as string)), `${type} in ${file}`).toContain(
        `'${type}'`,
      );
    const frames = pageText('kernel/contracts/frames.ts').matchAll(/type: z\.literal\('(\w+)'\)/g);
    const types = [...frames].map(([, type]) => type);
    expect(types).toContain('streaming_token');
    expect(types.filter((type) => !written.some(([each]) => each === type))).toEqual([]);
  });
});
