import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from './variables.js';

/** Options of the command line that name the files of a config. */
interface LayerOptions {
  readonly config?: string;
  readonly profile?: string;
}

const packageFolder = fileURLToPath(new URL('../../../../config', import.meta.url));

/** Files of a config, lowest first: the defaults, a profile from this folder or the package, the named file. */
export function layersOf(
  { config, profile: chosen }: LayerOptions,
  env: Environment,
  issues: string[],
): readonly string[] {
  const profile = chosen ?? env.WAGGLE_PROFILE;
  const layers = [join(packageFolder, 'default.yaml')];
  if (profile) {
    const folder = [resolve('config'), packageFolder].find((each) => profilesIn(each).includes(profile));
    if (folder) layers.push(join(folder, `${profile}.yaml`));
    else issues.push(unknownProfile(profile, chosen ? '--profile' : 'WAGGLE_PROFILE'));
  }
  if (config) layers.push(resolve(config));
  return layers;
}

function unknownProfile(profile: string, origin: string): string {
  const known = new Set([resolve('config'), packageFolder].flatMap(profilesIn).sort());
  return `${origin}: no profile is called "${profile}" (there are: ${[...known].join(', ')}); --config takes a file`;
}

function profilesIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'default.yaml');
  return files.map((name) => basename(name, '.yaml'));
}
