import { execFile, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { tempFolder } from '../support/kernel.js';
import { only } from '../support/server.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const env = {
  PATH: process.env.PATH,
  NODE_ENV: 'production',
  HOST: '127.0.0.1',
  PORT: '0',
  OLLAMA_HOST: 'http://127.0.0.1:9',
};

interface Locked {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>;
}

const few = stringify({ plugins: only('transport-uws') });

/** A checkout of its own, without what only work on it needs, and with all plugins or those that `few` needs. */
function checkout({ compiler = false, built = false, whole = false, path = tempFolder().path } = {}): string {
  const copy = (name: string) =>
    cpSync(join(root, name), join(path, name), {
      recursive: true,
      preserveTimestamps: true,
      filter: (from) => !/dist\/.*\.(map|d\.ts)$/.test(from),
    });
  // The command has a client, which is part of a plugin.
  const plugins = whole ? ['plugins'] : ['plugins/transport-uws', 'plugins/endpoint-ws'];
  const sources = ['kernel', ...plugins];
  for (const name of [...sources, 'config', 'package.json']) copy(name);
  if (built) for (const name of sources) copy(`dist/${name}`);
  writeFileSync(join(path, 'few.yaml'), few);
  const options = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  // As quick on two processors, with half of the work.
  options.compilerOptions.singleThreaded = true;
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify(options));
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Locked;
  for (const [at, { dev, optional }] of Object.entries(packages)) {
    const isTool = /^node_modules\/(typescript|@types\/(node|ws))$/.test(at);
    if (!/^node_modules\/(@[^/]+\/)?[^/]+$/.test(at) || optional || (dev && !(compiler && isTool))) continue;
    mkdirSync(dirname(join(path, at)), { recursive: true });
    symlinkSync(join(root, at), join(path, at));
  }
  return path;
}

const cli = (path: string) => join(path, 'dist/kernel/cli.js');
const edit = (path: string, file: string) => {
  const text = readFileSync(join(path, file), 'utf8');
  writeFileSync(join(path, file), `${text}\nprocess.stderr.write('edited\\n');\n`);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(path, file), later, later);
};

/** The build before `npm start`, without npm. */
const build = (path: string) =>
  promisify(execFile)(process.execPath, [join(path, 'kernel/host/build.mjs')], { cwd: path, env });

/** These stay for the tests that change them: a compiler takes long for all of it, and so do copies of all files. */
const [compiled, built] = ['compiled', 'built'].map((name) =>
  realpathSync(mkdtempSync(join(tmpdir(), `waggle-${name}-`))),
) as [string, string];
afterAll(() => {
  for (const path of [compiled, built]) rmSync(path, { recursive: true });
});
const withCompiler = () => checkout({ compiler: true, path: compiled });
const builtWithCompiler = async () => {
  if (!existsSync(cli(compiled))) await build(withCompiler());
  return compiled;
};
const withoutCompiler = () => (existsSync(cli(built)) ? built : checkout({ built: true, path: built }));

describe('npm start in production', () => {
  it('builds first', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(scripts).toMatchObject({
      prestart: 'npm run --silent build',
      build: 'node kernel/host/build.mjs',
    });
  });

  it('works in a fresh checkout without a compiler', async () => {
    const path = checkout({ whole: true });
    const npm = spawn('npm', ['start'], { cwd: path, env, stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: npm.stdout })) {
      if (line.includes('"msg":"started"')) npm.kill('SIGTERM');
      if (!line.includes('shutdown complete')) continue;
      expect(JSON.parse(line)).toMatchObject({ exitCode: 0 });
      return;
    }
    expect.fail('the server did not say that it had stopped');
  });

  it.each<[string, () => string | Promise<string>, (path: string) => void, string]>([
    ['built, and without a compiler since', withoutCompiler, () => {}, ''],
    [
      'built in part, without a compiler',
      withoutCompiler,
      (path) => rmSync(join(path, 'dist/plugins'), { recursive: true }),
      '',
    ],
    [
      'built, edited, without a compiler',
      withoutCompiler,
      (path) => edit(path, 'kernel/host/commands/check.ts'),
      'edited\n',
    ],
    ['not built, with a compiler', withCompiler, () => {}, ''],
    [
      'built, edited, with a compiler',
      builtWithCompiler,
      (path) => edit(path, 'kernel/host/commands/check.ts'),
      'edited\n',
    ],
  ])('what it builds before runs: %s', async (_, begin, change, said) => {
    const path = await begin();
    change(path);
    await build(path);
    const args = [cli(path), 'check', '--config', 'few.yaml'];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: path, env });
    expect(stderr).toBe(said);
    expect(stdout).toContain('The configuration is good.');
  });

  it('says which file cannot be read', async () => {
    const path = withoutCompiler();
    writeFileSync(join(path, 'kernel/sdk/json.ts'), 'export const = ;');
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(path, 'kernel/sdk/json.ts'), later, later);
    const failure = await build(path).catch((error) => error);
    expect(failure).toMatchObject({ code: 1, stderr: expect.stringContaining('kernel/sdk/json.ts') });
  });
});
