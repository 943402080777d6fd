import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { LoadHook, ResolveFnOutput, ResolveHook } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { OxcError } from 'oxc-transform';

const isTypeScript = /\.m?ts$/;
const own = import.meta.url;

/**
 * Resolves imports of modules outside this package: `waggle-server` is this copy of it, `zod` as well where there is no other,
 * `./x.js` may be an `x.ts`, and a module of a reloaded plugin gets the generation of that plugin.
 */
export const resolve: ResolveHook = async (specifier, context, next) => {
  const parent = context.parentURL ? new URL(context.parentURL) : undefined;
  if (/^waggle-server(\/|$)/.test(specifier)) return next(specifier, { ...context, parentURL: own });
  // The runtime helpers of oxc come from this package, so that plugins need not install them.
  if (specifier.startsWith('@oxc-project/runtime/') && parent && isTypeScript.test(parent.pathname))
    return next(specifier, { ...context, parentURL: own });
  const found = await foundBy(next, typeScriptFor(specifier, context.parentURL) ?? specifier, context);
  return parent ? { ...found, url: sameGeneration(found.url, parent) } : found;
};

/** A plugin of a single file gets this package's copy of zod; one with a copy of its own uses that. */
async function foundBy(
  next: Parameters<ResolveHook>[2],
  specifier: string,
  context: Parameters<ResolveHook>[1],
): Promise<ResolveFnOutput> {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (!/^zod(\/|$)/.test(specifier)) throw error;
    return next(specifier, { ...context, parentURL: own });
  }
}

/** Compiles TypeScript as `tsc` does with `verbatimModuleSyntax` and `experimentalDecorators`. */
export const load: LoadHook = async (url, context, next) => {
  const { protocol, pathname } = new URL(url);
  if (protocol !== 'file:' || !isTypeScript.test(pathname)) return next(url, context);
  const path = fileURLToPath(url);
  const source = await readFile(path, 'utf8');
  // Imported lazily: most plugins are JavaScript.
  const { transform } = await import('oxc-transform');
  const { code, map, errors } = await transform(path, source, {
    lang: 'ts',
    sourceType: 'module',
    target: 'node20',
    sourcemap: true,
    typescript: { onlyRemoveTypeImports: true },
    decorator: { legacy: true },
  });
  const issues = errors.filter(({ severity }) => String(severity) === 'Error');
  if (issues.length > 0)
    throw new SyntaxError(issues.map((issue) => wording(issue, path, source)).join('\n'));
  const inline = Buffer.from(JSON.stringify(map)).toString('base64');
  return {
    format: 'module',
    source: `${code}\n//# sourceMappingURL=data:application/json;base64,${inline}`,
    shortCircuit: true,
  };
};

/** URL of another generation of a module: reloads it, with all of its imports from the folder of its plugin. */
export function generationUrl(module: URL, folder: string, generation: number): URL {
  const url = new URL(module);
  const depth = fileURLToPath(module).slice(folder.length).split(/[/\\]/).filter(Boolean).length - 1;
  // The URL carries the depth below the folder, so that no thread needs other state.
  url.search = `?reload=${generation}&depth=${Math.max(depth, 0)}`;
  return url;
}

function sameGeneration(found: string, parent: URL): string {
  const generation = parent.searchParams.get('reload');
  if (!generation || !found.startsWith('file:')) return found;
  const folder = new URL('../'.repeat(Number(parent.searchParams.get('depth'))) || '.', parent).href;
  const url = new URL(found);
  if (!url.href.startsWith(folder) || url.search) return found;
  const inside = url.href.slice(folder.length).split('/');
  if (inside.includes('node_modules')) return found;
  url.search = `?reload=${generation}&depth=${inside.length - 1}`;
  return url.href;
}

/** The `.ts` file behind a `.js` specifier, which is how TypeScript names a compiled file. */
function typeScriptFor(specifier: string, parent: string | undefined): string | undefined {
  if (!/^(\.{0,2}\/|file:).*\.m?js$/.test(specifier) || (parent && !parent.startsWith('file:')))
    return undefined;
  const url = new URL(specifier, parent);
  if (existsSync(fileURLToPath(url))) return undefined;
  url.pathname = url.pathname.replace(/js$/, 'ts');
  return existsSync(fileURLToPath(url)) ? url.href : undefined;
}

function wording({ message, labels: [label] }: OxcError, path: string, source: string): string {
  if (!label) return `${path}: ${message}`;
  // oxc counts in bytes.
  const before = Buffer.from(source).subarray(0, label.start).toString().split('\n');
  return `${path}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}: ${message}`;
}
