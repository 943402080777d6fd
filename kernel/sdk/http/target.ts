const basePathShape = /^(\/[\w.~-]+)+$/;
const dotSegment = /\/\.{1,2}(\/|$)/;

/** The path of a request target, and its host where it has one, as in `GET http://host/path`. */
export function targetOf(target: string): { readonly path: string; readonly host?: string } {
  if (target.startsWith('/')) return { path: target };
  const [, host, path] = /^https?:\/\/([^/]+)(\/.*)?$/is.exec(target) ?? [];
  return host === undefined ? { path: target } : { path: path ?? '/', host };
}

/** A normalised base path, `''` for the root; undefined for an invalid one, or one that browsers would change. */
export function basePathOf(text: string): string | undefined {
  const path = text.replace(/\/$/, '');
  return path === '' || (basePathShape.test(path) && !dotSegment.test(path)) ? path : undefined;
}

/** A path relative to the base path; any other path unchanged, because some proxies strip the base path. */
export function belowBase(path: string, basePath: string): string {
  if (basePath === '' || !path.startsWith(basePath)) return path;
  const rest = path.slice(basePath.length);
  return rest === '' ? '/' : rest.startsWith('/') ? rest : path;
}

/** Alternative readings of a path without a route, the likeliest first. */
export function readingsOf(path: string, basePath: string): readonly string[] {
  const plain = plainPath(path);
  return [...new Set([belowBase(plain, basePath), path, plain])];
}

/** Path without repeated or trailing slashes and without needless percent-encoding (RFC 3986, 6.2.2.2). */
function plainPath(path: string): string {
  return path
    .replace(/\/{2,}/g, '/')
    .replace(/(?<=.)\/$/, '')
    .replace(/%([2-7][\da-f])/gi, (encoded, hex: string) => {
      const char = String.fromCharCode(Number.parseInt(hex, 16));
      return /[\w.~-]/.test(char) ? char : encoded;
    });
}
