import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { tempFolder } from '../support/kernel.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

it('waggle-server/testing holds the store of a third party to the contract, and finds what it breaks', async () => {
  execFileSync(process.execPath, [join(root, 'test/testing/build.mjs')], { stdio: 'inherit' });
  const { path } = tempFolder();
  cpSync(join(root, 'test/fixtures/foreign-store'), path, { recursive: true });
  mkdirSync(join(path, 'node_modules'));
  symlinkSync(root, join(path, 'node_modules/waggle-server'));
  symlinkSync(join(root, 'node_modules/vitest'), join(path, 'node_modules/vitest'));

  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--root', path, '--reporter', 'json'];
  const run = await promisify(execFile)(process.execPath, args, { cwd: path }).catch((error) => error);
  const { testResults } = JSON.parse(run.stdout) as {
    testResults: { assertionResults: { status: string; ancestorTitles: string[]; title: string }[] }[];
  };
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = (store: string) =>
    results.filter(
      ({ status, ancestorTitles }) => status !== 'passed' && ancestorTitles[0]?.startsWith(store),
    );
  expect(results.length).toBeGreaterThan(40);
  expect(failed('map-store ')).toEqual([]);
  expect(failed('forgetful-store ').map(({ title }) => title)).toContain(
    'gives back what was appended, oldest first',
  );
});
