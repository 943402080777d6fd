const basePathShape = /^(\/[\w.~-]+)+$/;
const dotSegment = /\/\.{1,2}(\/|$)/;

/** Where a request goes: its path, and the host where the target names one, as in `GET http://host/path`. */
export function targetOf(target: string): { readonly path: string; readonly host?: string } {
  if (target.startsWith('/')) return { path: target };
  const [, host, path] = /^https?:\/\/([^/]+)(\/.*)?$/is.exec(target) ?? [];
  return host === undefined ? { path: target } : { path: path ?? '/', host };
}

/** The path below which a server is reached, `''` for the root; undefined for text that is none, or that browsers would read as something else. */
export function basePathOf(text: string): string | undefined {
  const path = text.replace(/\/$/, '');
  return path === '' || (basePathShape.test(path) && !dotSegment.test(path)) ? path : undefined;
}

/** A path below the base path as seen from there; any other one as it is, because some proxies cut it off. */
export function belowBase(path: string, basePath: string): string {
  if (basePath === '' || !path.startsWith(basePath)) return path;
  const rest = path.slice(basePath.length);
  return rest === '' ? '/' : rest.startsWith('/') ? rest : path;
}

/** What a path may stand for, where it leads nowhere as it is; the likeliest first. */
export function readingsOf(path: string, basePath: string): readonly string[] {
  const plain = plainPath(path);
  return [...new Set([belowBase(plain, basePath), path, plain])];
}

/** One slash where there are several, none at the end, and nothing encoded that need not be (RFC 3986, 6.2.2.2). */
function plainPath(path: string): string {
  return path
    .replace(/\/{2,}/g, '/')
    .replace(/(?<=.)\/$/, '')
    .replace(/%([2-7][\da-f])/gi, (encoded, hex: string) => {
      const char = String.fromCharCode(Number.parseInt(hex, 16));
      return /[\w.~-]/.test(char) ? char : encoded;
    });
}
