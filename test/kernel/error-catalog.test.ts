import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errorCatalog } from '../../kernel/errors.js';
import { pageText } from '../support/pages.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** All TypeScript of a folder as one text. */
function textOf(folder: string, isLeftOut: (path: string) => boolean): string {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(root, folder, name))
    .filter((path) => path.endsWith('.ts') && !isLeftOut(path))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
}

const sources = ['kernel', 'plugins']
  .map((folder) => textOf(folder, (path) => path.endsWith(join('kernel', 'errors.ts'))))
  .join('\n')
  // To ask for a code is not to throw it.
  .replace(/WaggleError\.is\([^)]*\)/g, '');
const tests = textOf('test', (path) => path === fileURLToPath(import.meta.url));
const listed = [...pageText('kernel/README.md').matchAll(/^\| `([A-Z][A-Z_]+)` \|/gm)].map(
  ([, code]) => code as string,
);
const codes = Object.keys(errorCatalog);

describe('every error code', () => {
  it.each(codes)('%s is thrown somewhere', (code) => {
    expect(sources.includes(`'${code}'`)).toBe(true);
  });

  it.each(codes)('%s is provoked by a test', (code) => {
    expect(tests.includes(`'${code}'`)).toBe(true);
  });

  it.each(codes)('%s has one row in kernel/README.md', (code) => {
    expect(listed.filter((each) => each === code)).toHaveLength(1);
  });

  it.each(listed)('%s of kernel/README.md exists', (code) => {
    expect(codes).toContain(code);
  });
});
