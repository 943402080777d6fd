import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf } from '../../errors.js';
import { version } from '../../sdk/version.js';
import { builtInNames } from '../loader/resolve-plugin.js';
import { exitCodes } from '../stop-signals.js';
import { agentFiles } from '../templates/agent.js';
import { endpointFiles } from '../templates/endpoint.js';
import { packageSource } from '../templates/package-source.js';
import { projectFiles } from '../templates/project.js';
import { taskFiles } from '../templates/task.js';

/** Texts of a new plugin's files, by name. */
export type Files = Readonly<Record<string, string>>;

const kinds = { agent: agentFiles, task: taskFiles, endpoint: endpointFiles } as const;
export type PluginKind = keyof typeof kinds;

/** `waggle new`: writes a plugin, with a test that passes, into a new folder. */
export function newPlugin(kind: PluginKind, name: string): void {
  try {
    const files = createPlugin(kind, name);
    process.stdout.write(
      `${files.map((file) => `${name}/${file}\n`).join('')}\nNext: cd ${name} && npm install && npm test\n`,
    );
  } catch (error) {
    process.stderr.write(`waggle: ${messageOf(error)}\n`);
    process.exitCode = exitCodes.failed;
  }
}

/** The names of the files it has written. Its errors are for people to read. */
function createPlugin(kind: PluginKind, name: string): readonly string[] {
  const folder = resolve(name);
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    throw new Error(
      `"${name}" is no name for a plugin: take lower-case words with hyphens between, as in my-${kind}`,
    );
  if (builtInNames().includes(name)) throw new Error(`"${name}" is a built-in plugin: take another name`);
  if (existsSync(folder)) throw new Error(`${folder} is there already: take another name, or remove it`);
  const files: Files = { ...projectFiles(kind, name, version, sourceFor(folder)), ...kinds[kind](name) };
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return Object.keys(files);
}

function sourceFor(folder: string): string {
  const own = realpathSync(dirname(createRequire(import.meta.url).resolve('waggle-server/package.json')));
  return packageSource(own, join(realpathSync(dirname(folder)), basename(folder)));
}
