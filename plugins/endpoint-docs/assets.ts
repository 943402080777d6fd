import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PageFiles } from '#sdk';

const require = createRequire(import.meta.url);
// Resolved by package: this file runs from `dist`, which holds compiled TypeScript only.
const ours = join(dirname(require.resolve('waggle-server/package.json')), 'plugins/endpoint-docs/page');
const theirs = dirname(require.resolve('swagger-ui-dist/package.json'));

const files = {
  'swagger-ui.css': theirs,
  'swagger-ui-bundle.js': theirs,
  'page.css': ours,
  'page.js': ours,
  'frames.js': ours,
  'console.js': ours,
  'root.js': ours,
};

export function readAssets(): Promise<PageFiles> {
  return PageFiles.read(Object.entries(files).map(([name, folder]) => [name, join(folder, name)]));
}
