import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PageFiles } from '#sdk';

const require = createRequire(import.meta.url);

/** Files of other packages, by the module name that imports them. */
const libraries = {
  marked: 'marked.esm.js',
  dompurify: 'purify.es.mjs',
  uplot: 'uPlot.esm.js',
  katex: 'katex.mjs',
  '@highlightjs/cdn-assets/es/highlight.min.js': 'highlight.min.js',
  preact: 'preact.mjs',
  'preact/hooks': 'hooks.mjs',
  '@preact/signals': 'signals.module.js',
  '@preact/signals-core': 'signals-core.module.js',
  htm: 'htm.module.js',
} as const;
const styles = { package: 'uplot', file: 'uPlot.min.css' };

/** Addresses by module name: browsers do not resolve package names. */
const addresses: Readonly<Record<string, string>> = {
  'waggle-server/client': '../client/index.js',
  ...Object.fromEntries(Object.entries(libraries).map(([name, file]) => [name, `../library/${file}`])),
};
const served = /\.(html|css|m?js|svg)$/;

interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

/** The files of the pages, read on the first request so that the start does not wait for them. */
export class Assets {
  #reading: Promise<PageFiles> | undefined;

  /** A page as HTML, with the addresses of its files below `basePath`. */
  async page(file: string, basePath: string): Promise<{ readonly html: string; readonly etag: string }> {
    const files = await this.#files;
    const html = files
      .page(`page/${file}`)
      .replaceAll('{assets}', `{base}/ui/${files.folder}`)
      .replaceAll('{base}', basePath);
    return { html, etag: `"${files.folder}${basePath}"` };
  }

  /** The file at `/ui/{version}/{folder}/{file}`. */
  async find(version: string, folder: string, file: string): Promise<Asset | undefined> {
    const asset = (await this.#files).find(version, `${folder}/${file}`);
    return asset && { ...asset, etag: `"${version}"` };
  }

  get #files(): Promise<PageFiles> {
    this.#reading ??= readFiles().catch((error: unknown) => {
      // The next request tries again.
      this.#reading = undefined;
      throw error;
    });
    return this.#reading;
  }
}

async function readFiles(): Promise<PageFiles> {
  // Resolved by package: this file runs from `dist`, which holds compiled TypeScript only.
  const inPackage = (name: string) => dirname(require.resolve(name));
  const all = async (name: string, folder: string) =>
    (await readdir(folder))
      .filter((file) => served.test(file))
      .map((file) => [`${name}/${file}`, join(folder, file)] as const);
  const library = (name: string, file: string) => [`library/${file}`, join(inPackage(name), file)] as const;
  const files = [
    ...(await all('page', join(inPackage('waggle-server/package.json'), 'plugins/ui-web/page'))),
    ...(await all('client', inPackage('waggle-server/client'))),
    ...Object.entries(libraries).map(([name, file]) => library(name, file)),
    library(styles.package, styles.file),
  ];
  return PageFiles.read(files, (body, path) => (/\.m?js$/.test(path) ? forBrowsers(body) : body));
}

/** A module with addresses in place of package names, and without its source map. */
function forBrowsers(module: Buffer): Buffer {
  const text = module
    .toString()
    .replace(/^\/\/# sourceMappingURL=.*$/m, '')
    .replace(
      /(?<=(?:^|[;}\n])(?:import|export|\})[^'"\n;]*from ?|\bimport\()(['"])([@\w/.-]+)\1/g,
      (whole, quote: string, name: string) => (addresses[name] ? quote + addresses[name] + quote : whole),
    );
  return Buffer.from(text);
}
