// Makes a release: npm run release -- minor [--to FOLDER] [--dry-run]
// Sets the version, dates the changelog, packs, and starts the packed server in an empty folder. With --dry-run nothing
// in the checkout changes, dist/ is packed as it is, and dependencies are linked instead of installed.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const boundMs = 60_000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'dry-run': { type: 'boolean', default: false }, to: { type: 'string', default: root } },
});
const dryRun = values['dry-run'];
const run = (command, args, options) =>
  execFileSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  });

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const version = nextVersion(manifest.version, positionals[0]);
const changelog = datedChangelog(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'));
if (!dryRun) {
  if (run('git', ['status', '--porcelain'])) fail('there are changes that are not committed');
  run('npm', ['version', version, '--no-git-tag-version']);
  writeFileSync(join(root, 'CHANGELOG.md'), changelog);
}
const tarball = pack();
const folder = mkdtempSync(join(tmpdir(), 'waggle-release-'));
try {
  install(tarball);
  await loadDoors();
  await askServer();
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`${dryRun ? 'would release' : 'packed'} ${version}: ${tarball}`);

function nextVersion(current, bump) {
  if (/^\d+\.\d+\.\d+$/.test(bump)) return bump;
  const parts = current.split('.').map(Number);
  const at = ['major', 'minor', 'patch'].indexOf(bump);
  if (at === -1) fail('say major, minor, patch or a version');
  return parts.map((part, index) => (index < at ? part : index === at ? part + 1 : 0)).join('.');
}

function datedChangelog(text) {
  const [, entries] = /^## Unreleased\n(.*?)(?=^## )/ms.exec(text) ?? [];
  if (!entries?.trim() && !dryRun) fail('CHANGELOG.md has nothing below "## Unreleased"');
  return text.replace('## Unreleased', `## ${version} (${new Date().toISOString().slice(0, 10)})`);
}

function pack() {
  // Scripts build dist/ from scratch.
  const args = [
    'pack',
    '--json',
    '--pack-destination',
    resolve(values.to),
    ...(dryRun ? ['--ignore-scripts'] : []),
  ];
  const [{ filename }] = JSON.parse(run('npm', args).replace(/^[^[]*/, ''));
  return join(resolve(values.to), filename);
}

function install(file) {
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  if (!dryRun) {
    run('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', file], { cwd: folder });
    return;
  }
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, manifest.name), { recursive: true });
  run('tar', ['-xzf', file, '-C', join(modules, manifest.name), '--strip-components=1']);
  const names = readdirSync(join(root, 'node_modules')).filter((name) => !name.startsWith('.'));
  const links = names.flatMap((name) =>
    name.startsWith('@')
      ? readdirSync(join(root, 'node_modules', name)).map((each) => `${name}/${each}`)
      : [name],
  );
  for (const name of links) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
}

/** Every door can be imported, except the one for tests, which needs vitest. */
async function loadDoors() {
  const doors = Object.keys(manifest.exports).filter((door) => !/\*|\.json$|testing/.test(door));
  const imports = doors.map((door) => `await import('${join(manifest.name, door)}');`).join('\n');
  run(process.execPath, ['--input-type=module', '-e', imports], { cwd: folder });
}

/** The server starts, answers one question, serves its page, and stops cleanly. */
async function askServer() {
  const cli = join(folder, 'node_modules', manifest.name, manifest.bin.waggle);
  const env = { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', OLLAMA_HOST: 'http://127.0.0.1:9' };
  const server = spawn(process.execPath, [cli, 'start'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => server.kill('SIGKILL'), boundMs);
  const exited = once(server, 'close');
  let port;
  for await (const line of createInterface({ input: server.stdout })) {
    const entry = line.startsWith('{') ? JSON.parse(line) : {};
    port ??= entry.port;
    if (entry.msg !== 'started') continue;
    try {
      await ask(`http://127.0.0.1:${port}`);
    } finally {
      server.kill();
    }
  }
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (code !== 0) fail(`the packed server ended with ${code ?? signal}`);
}

async function ask(url) {
  const body = JSON.stringify({ content: 'Hallo', user_id: 'release' });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/chat`, { method: 'POST', headers, body });
  const { response } = await answer.json();
  const page = await fetch(`${url}/ui`);
  if (!response || page.status !== 200)
    fail(`the packed server does not answer: ${answer.status}, ${page.status}`);
}

function fail(why) {
  throw new Error(why);
}
