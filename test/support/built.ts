import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Plugin } from 'vitest/config';

/**
 * Lets tests import what was built of `kernel` and `plugins`. Node.js loads it by itself, as in a server, with half of
 * the work that vitest has with the sources.
 */
export function built(root: string): Plugin {
  const { imports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly imports: Readonly<Record<string, string>>;
  };
  const placeOf = (source: string, importer: string): string | undefined => {
    if (!source.startsWith('.')) return imports[source];
    const path = relative(root, resolve(dirname(importer), source));
    return /^(kernel|plugins)\/.*\.js$/.test(path) ? join('dist', path) : undefined;
  };
  return {
    name: 'built',
    enforce: 'pre',
    resolveId(source, importer) {
      const place = importer && placeOf(source, importer);
      // The pages of plugins are JavaScript, and stay where they are.
      return place && existsSync(join(root, place)) ? join(root, place) : undefined;
    },
  };
}
