import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { benchRoot } from './process.mjs';

const folder = `${benchRoot}.venv`;
const wanted = `${benchRoot}requirements.txt`;
/** A copy of the requirements, written last. */
const installed = `${folder}/requirements.txt`;
const timeoutMs = 300_000;

/** The interpreter of all Python servers, which sees the packages of `requirements.txt` and no others. */
export const python = `${folder}/bin/python`;

/** Installs these packages unless they are there. @throws when that fails */
export function installPython() {
  const requirements = readFileSync(wanted, 'utf8');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === requirements) return;
  console.log('installing the Python peers into test/bench/.venv');
  rmSync(folder, { recursive: true, force: true });
  const run = (command, ...args) =>
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: timeoutMs });
  run('python3', '-m', 'venv', folder);
  run(python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', wanted);
  writeFileSync(installed, requirements);
}
