import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';

const require = createRequire(import.meta.url);
// Found by package, because this file runs from `dist`, where nothing but compiled TypeScript is.
const ours = join(dirname(require.resolve('waggle-server/package.json')), 'plugins/endpoint-docs/page');
const theirs = dirname(require.resolve('swagger-ui-dist/package.json'));

/** All that is ever read, and so all that can be served. */
const files = {
  'swagger-ui.css': theirs,
  'swagger-ui-bundle.js': theirs,
  'page.css': ours,
  'page.js': ours,
  'frames.js': ours,
  'console.js': ours,
  'root.js': ours,
};
const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** The files that the page loads. */
export class Assets {
  /** A folder that is named after the content of all files, so that browsers may keep them for good. */
  readonly folder: string;
  readonly #bodies: ReadonlyMap<string, Buffer>;

  private constructor(bodies: ReadonlyMap<string, Buffer>) {
    const hash = createHash('sha256');
    for (const body of bodies.values()) hash.update(body);
    this.folder = hash.digest('hex').slice(0, 12);
    this.#bodies = bodies;
  }

  static async read(): Promise<Assets> {
    const bodies = Object.entries(files).map(
      async ([name, folder]) => [name, await readFile(join(folder, name))] as const,
    );
    return new Assets(new Map(await Promise.all(bodies)));
  }

  /** A file and its content type. */
  find(folder: string, name: string): { readonly body: Uint8Array; readonly type: string } | undefined {
    const body = folder === this.folder ? this.#bodies.get(name) : undefined;
    return body && { body, type: types[extname(name)] as string };
  }
}
