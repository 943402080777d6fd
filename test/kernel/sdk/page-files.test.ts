import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PageFiles } from '#sdk';

describe('the files of a page', () => {
  let folder: string;
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  const read = () =>
    PageFiles.read(
      ['a.js', 'b.css', 'page.html'].map((name) => [`x/${name}`, join(folder, name)] as const),
      (body, path) => (path === 'x/a.js' ? Buffer.from(`${body}!`) : body),
    );

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'page-files-'));
    await write('a.js', 'a');
    await write('b.css', 'b');
    await write('page.html', '<p>');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are found with their type, as they were changed', async () => {
    const files = await read();
    expect(files.find(files.folder, 'x/a.js')).toEqual({
      body: Buffer.from('a!'),
      type: 'text/javascript; charset=utf-8',
    });
    expect(files.find(files.folder, 'x/b.css')?.type).toBe('text/css; charset=utf-8');
    expect(files.page('x/page.html')).toBe('<p>');
  });

  it('are in a folder whose name changes with any of them, and only there', async () => {
    const before = await read();
    expect((await read()).folder).toBe(before.folder);
    await write('b.css', 'c');
    const after = await read();
    expect(after.folder).not.toBe(before.folder);
    expect(after.find(before.folder, 'x/b.css')).toBeUndefined();
  });

  it.each(['x/page.html', 'x/none.js', 'a.js', '../a.js', 'x/a', ''])('do not include %j', async (path) => {
    const files = await read();
    expect(files.find(files.folder, path)).toBeUndefined();
  });
});
