import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageSource } from '../../../kernel/host/templates/package-source.js';
import { tempFolder } from '../../support/kernel.js';

const inApp = 'app/node_modules/waggle-server';

describe('a new project gets this package', () => {
  it.each<[string, string, object | undefined, string]>([
    [
      'from the tarball',
      inApp,
      { dependencies: { 'waggle-server': 'file:../waggle.tgz' } },
      'file:../../waggle.tgz',
    ],
    [
      'from a tarball without file:',
      inApp,
      { dependencies: { 'waggle-server': '../waggle.tgz' } },
      'file:../../waggle.tgz',
    ],
    [
      'from a tarball inside',
      inApp,
      { devDependencies: { 'waggle-server': 'file:waggle.tgz' } },
      'file:../waggle.tgz',
    ],
    [
      'from a tarball by its whole path',
      inApp,
      { dependencies: { 'waggle-server': 'file:{root}/waggle.tgz' } },
      'file:../../waggle.tgz',
    ],
    [
      'from a checkout',
      inApp,
      { dependencies: { 'waggle-server': 'file:../checkout' } },
      'file:../../checkout',
    ],
    ['from the registry', inApp, { dependencies: { 'waggle-server': '^0.1.0' } }, '^0.1.0'],
    [
      'from git',
      inApp,
      { dependencies: { 'waggle-server': 'github:me/waggle#main' } },
      'github:me/waggle#main',
    ],
    [
      'from a server',
      inApp,
      { dependencies: { 'waggle-server': 'https://x.test/w.tgz' } },
      'https://x.test/w.tgz',
    ],
    ['from a fork', inApp, { optionalDependencies: { 'waggle-server': 'npm:mine@1' } }, 'npm:mine@1'],
    [
      'from the copy, where the tarball is gone',
      inApp,
      { dependencies: { 'waggle-server': 'file:../gone.tgz' } },
      `file:../node_modules/waggle-server`,
    ],
    [
      'from the copy of a workspace',
      inApp,
      { dependencies: { 'waggle-server': 'workspace:*' } },
      `file:../node_modules/waggle-server`,
    ],
    ['from the copy of all users', inApp, undefined, `file:../node_modules/waggle-server`],
    [
      'as pnpm keeps it',
      'app/node_modules/.pnpm/w@1/node_modules/waggle-server',
      { dependencies: { 'waggle-server': '^1' } },
      '^1',
    ],
    ['from this checkout', 'checkout', undefined, 'file:../../checkout'],
  ])('%s', (_, own, manifest, expected) => {
    const folder = tempFolder();
    folder.write('waggle.tgz', '');
    folder.write('app/waggle.tgz', '');
    folder.write('checkout/package.json', '{}');
    mkdirSync(join(folder.path, own), { recursive: true });
    if (manifest) folder.write('app/package.json', JSON.stringify(manifest).replace('{root}', folder.path));
    expect(packageSource(join(folder.path, own), join(folder.path, 'app/parrot'))).toBe(expected);
  });
});
