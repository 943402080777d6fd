import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Files of other packages, by the name that modules import them under. */
const libraries = {
  marked: 'marked.esm.js',
  dompurify: 'purify.es.mjs',
  uplot: 'uPlot.esm.js',
  katex: 'katex.mjs',
  '@highlightjs/cdn-assets/es/highlight.min.js': 'highlight.min.js',
} as const;
const styles = { package: 'uplot', file: 'uPlot.min.css' };

/** Browsers resolve no names of packages. */
const addresses: Readonly<Record<string, string>> = {
  'waggle-server/client': '../client/index.js',
  ...Object.fromEntries(Object.entries(libraries).map(([name, file]) => [name, `../library/${file}`])),
};
const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** One file as it is served. */
export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

/** All files, read when the first of them is asked for: no start has to wait for them. */
export class AssetsOnDemand {
  #all: Promise<Assets> | undefined;

  get all(): Promise<Assets> {
    this.#all ??= Assets.read().catch((error: unknown) => {
      // The next one tries again.
      this.#all = undefined;
      throw error;
    });
    return this.#all;
  }
}

/** All files that the pages load. Nothing else is ever read, and so nothing else can be served. */
export class Assets {
  /** Named after the content of all files, so that browsers may keep them for good. */
  readonly version: string;
  readonly #bodies: ReadonlyMap<string, Buffer>;

  private constructor(bodies: ReadonlyMap<string, Buffer>) {
    const hash = createHash('sha256');
    for (const [path, body] of [...bodies].sort(([a], [b]) => (a < b ? -1 : 1)))
      hash.update(path).update(body);
    this.version = hash.digest('hex').slice(0, 12);
    this.#bodies = bodies;
  }

  static async read(): Promise<Assets> {
    const shown = (name: string) => ['.html', ...Object.keys(types)].includes(extname(name));
    const all = async (name: string, folder: string) =>
      (await readdir(folder)).filter(shown).map((file) => ({ path: `${name}/${file}`, folder, file }));
    // Found by package, because this file runs from `dist`, where nothing but compiled TypeScript is.
    const inPackage = (name: string) => dirname(require.resolve(name));
    const library = (name: string, file: string) => {
      const folder = inPackage(name);
      return { path: `library/${file}`, folder, file };
    };
    const files = [
      ...(await all('page', join(inPackage('waggle-server/package.json'), 'plugins/ui-web/page'))),
      ...(await all('client', inPackage('waggle-server/client'))),
      ...Object.entries(libraries).map(([name, file]) => library(name, file)),
      library(styles.package, styles.file),
    ];
    const bodies = new Map<string, Buffer>();
    // One at a time: all at once take more descriptors than a small server may have left.
    for (const { path, folder, file } of files) {
      const body = await readFile(join(folder, file));
      bodies.set(path, /\.m?js$/.test(file) ? forBrowsers(body) : body);
    }
    return new Assets(bodies);
  }

  /** The text of a page, which names the files that it loads, below the path where the server is reached. */
  page(file: string, basePath: string): { readonly html: string; readonly etag: string } {
    const text = String(this.#bodies.get(`page/${file}`));
    const html = text.replaceAll('{assets}', `{base}/ui/${this.version}`).replaceAll('{base}', basePath);
    return { html, etag: `"${this.version}${basePath}"` };
  }

  /** The file at `/ui/{version}/{folder}/{file}`. */
  find(version: string, folder: string, file: string): Asset | undefined {
    const type = types[extname(file)];
    const body = version === this.version && type ? this.#bodies.get(`${folder}/${file}`) : undefined;
    return body && type ? { body, type, etag: this.#etag } : undefined;
  }

  get #etag(): string {
    return `"${this.version}"`;
  }
}

/** Names of packages become addresses, and what only debuggers would ask for goes. */
function forBrowsers(module: Buffer): Buffer {
  const text = module
    .toString()
    .replace(/^\/\/# sourceMappingURL=.*$/m, '')
    .replace(
      /(?<=^(?:import|export|\}) [^'"\n]*from '|\bimport\(')[@\w/.-]+(?='(?:;$|\)))/gm,
      (name) => addresses[name] ?? name,
    );
  return Buffer.from(text);
}
