import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

const packageName = 'waggle-server';

/**
 * Where a project in a new folder gets this package from: what the project around an installed copy says, so that a
 * tarball or a fork stays one; else the copy or the checkout itself.
 */
export function packageSource(own: string, project: string): string {
  for (let folder = own; folder !== dirname(folder); folder = dirname(folder)) {
    const declared =
      own.split(sep).includes('node_modules') && folder !== own ? declaredIn(folder) : undefined;
    if (declared === undefined) continue;
    const path = pathOf(declared, folder);
    // Other tools' protocols, such as `workspace:`, mean nothing elsewhere.
    if (path === undefined && !/^(workspace|link|portal|catalog|patch):/.test(declared)) return declared;
    if (path !== undefined && existsSync(path)) return fileSpec(path, project);
    break;
  }
  return fileSpec(own, project);
}

function declaredIn(folder: string): string | undefined {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return undefined;
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(manifest, 'utf8'));
  return { ...optionalDependencies, ...devDependencies, ...dependencies }[packageName];
}

/** The file or folder of a specification, where it is one. */
function pathOf(specification: string, folder: string): string | undefined {
  const [, path] =
    /^(?:file:(?:\/\/(?=\/))?)(.*)$/.exec(specification) ?? /^(\.{0,2}\/.*)$/.exec(specification) ?? [];
  return path === undefined ? undefined : resolve(folder, path);
}

function fileSpec(path: string, project: string): string {
  return `file:${relative(project, path).split(sep).join('/')}`;
}
