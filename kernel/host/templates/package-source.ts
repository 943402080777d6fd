import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

const packageName = 'waggle-server';

/**
 * The dependency specification of this package for a project in a new folder: that of the project around an installed
 * copy, so that a tarball or a fork stays one, else the path of the copy or checkout.
 */
export function packageSource(own: string, project: string): string {
  for (let folder = own; folder !== dirname(folder); folder = dirname(folder)) {
    const declared =
      own.split(sep).includes('node_modules') && folder !== own ? declaredIn(folder) : undefined;
    if (declared === undefined) continue;
    const path = pathOf(declared, folder);
    // Protocols of workspaces mean nothing outside of them.
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

/** Path of a specification that is a file or folder. */
function pathOf(specification: string, folder: string): string | undefined {
  const [, path] =
    /^(?:file:(?:\/\/(?=\/))?)(.*)$/.exec(specification) ?? /^(\.{0,2}\/.*)$/.exec(specification) ?? [];
  return path === undefined ? undefined : resolve(folder, path);
}

function fileSpec(path: string, project: string): string {
  return `file:${relative(project, path).split(sep).join('/')}`;
}
