import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Headers } from '../contracts/transport.js';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Headers of an HTML page, revalidated on each load. `policy` is its Content-Security-Policy. */
export function pageHeaders(policy: readonly string[]): Headers {
  return {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'content-security-policy': policy.join('; '),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}

/** Headers of a file whose address changes with its content. */
export const assetHeaders: Headers = {
  'cache-control': 'public, max-age=31536000, immutable',
  'x-content-type-options': 'nosniff',
};

/** Files that pages load, read once: no other file can be served. */
export class PageFiles {
  /** A name derived from all contents, for use in addresses: browsers may cache the files for good. */
  readonly folder: string;
  readonly #bodies: ReadonlyMap<string, Buffer>;

  private constructor(bodies: ReadonlyMap<string, Buffer>) {
    const hash = createHash('sha256');
    for (const [path, body] of [...bodies].sort(([a], [b]) => (a < b ? -1 : 1)))
      hash.update(path).update(body);
    this.folder = hash.digest('hex').slice(0, 12);
    this.#bodies = bodies;
  }

  /** Reads `files`, given as the path below `folder` and the path on disk; `change` may rewrite what is served. */
  static async read(
    files: Iterable<readonly [path: string, file: string]>,
    change = (body: Buffer, _path: string) => body,
  ): Promise<PageFiles> {
    const bodies = new Map<string, Buffer>();
    // One at a time: a small server may be short of descriptors.
    for (const [path, file] of files) bodies.set(path, change(await readFile(file), path));
    return new PageFiles(bodies);
  }

  /** The text of an HTML page. */
  page(path: string): string {
    return String(this.#bodies.get(path));
  }

  /** A file by its folder and the path below it; pages are not among them. */
  find(folder: string, path: string): { readonly body: Buffer; readonly type: string } | undefined {
    const type = types[extname(path)];
    const body = folder === this.folder ? this.#bodies.get(path) : undefined;
    return body && type !== undefined ? { body, type } : undefined;
  }
}
