import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/kernel.js';
import { pages, pageText } from '../support/pages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

describe('a release', () => {
  it('is a tarball that starts and answers in an empty folder, with every page and its images', async () => {
    const { path } = tempFolder();
    const args = ['.ci/release.mjs', 'minor', '--dry-run', '--to', path];
    const { stdout } = await run(process.execPath, args, {
      cwd: root,
      env: { ...process.env, NODE_ENV: '' },
    });
    expect(stdout).toMatch(/^would release \d+\.\d+\.0: /m);
    const [, tarball] = /: (\S+\.tgz)$/m.exec(stdout) ?? [];
    const { stdout: list } = await run('tar', ['-tzf', tarball as string]);
    const images = pages.flatMap((page) =>
      [...pageText(page).matchAll(/!\[.*?\]\((.*?)\)/g)].map(([, file]) =>
        join(dirname(page), file as string),
      ),
    );
    expect(images.length).toBeGreaterThan(1);
    const packed = list.split('\n');
    expect(packed).toEqual(
      expect.arrayContaining(
        [...pages, ...images, 'CHANGELOG.md', '.github/CONTRIBUTING.md', '.github/SECURITY.md'].map(
          (file) => `package/${file}`,
        ),
      ),
    );
  });

  it.each([
    ['no version', []],
    ['a word that is none', ['next']],
  ])('is refused with %s', async (_, args) => {
    const failure = await run(process.execPath, ['.ci/release.mjs', ...args, '--dry-run'], {
      cwd: root,
    }).catch((error) => error);
    expect(failure.stderr).toContain('say major, minor, patch or a version');
  });
});
