import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { clientRows } from '../support/client-table.js';
import { pageText } from '../support/pages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

describe('the table of clients', () => {
  it('is read as a whole', () => {
    const [, section = ''] = pageText('plugins/README.md').split('## Which clients work\n');
    const lines = section.split('\n## ')[0]?.match(/^\|.*\|$/gm) ?? [];
    expect(clientRows).toHaveLength(lines.length - 2);
    expect(clientRows.length).toBeGreaterThan(8);
    expect(new Set(clientRows.map(({ client }) => client)).size).toBe(clientRows.length);
  });

  it.each(clientRows)('has a test for $client that does as its line says', ({ lines, test }) => {
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join()).toContain('localhost:9797');
    const code = read(test);
    // A command-line client is given the very lines of the row.
    if (code.includes('linesFor(')) return;
    const names =
      lines
        .join()
        .replace(/'[^']*'|"[^"]*"/g, '')
        .match(/\w{3,}/g) ?? [];
    expect(names.length).toBeGreaterThan(1);
    for (const name of names) expect(code).toMatch(new RegExp(`\\b${name}\\b`));
  });

  it.each(clientRows)('names a test of $client that is run', ({ client, test }) => {
    if (test.endsWith('.test.ts')) return expect(read(test)).toContain(client.split(' ')[0]);
    const folder = join(test, '../..');
    const tests = readdirSync(join(root, folder)).filter((name) => name.endsWith('.test.ts'));
    const program = basename(test).replace(/\.\w+$/, '');
    expect(tests.map((name) => read(join(folder, name))).join()).toMatch(new RegExp(`\\b${program}\\b`));
  });
});
