import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type TempFolder, tempFolder } from '../support/kernel.js';
import { type RunningServer, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

function waggleNew(folder: TempFolder, ...args: string[]) {
  return run(process.execPath, [join(root, 'dist/kernel/cli.js'), 'new', ...args], { cwd: folder.path });
}

/** What `npm install` would do, without a network. */
function install(project: string): void {
  const link = (name: string, to: string) => {
    const place = join(project, 'node_modules', name);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(to, place);
  };
  link('waggle-server', root);
  link('typescript', join(root, 'node_modules/typescript'));
  link('@types/node', join(root, 'node_modules/@types/node'));
  link('.bin/tsc', join(root, 'node_modules/typescript/bin/tsc'));
}

const asks: Readonly<Record<string, (server: RunningServer) => Promise<unknown>>> = {
  agent: async (server) => {
    const client = await WsClient.connect(`${server.ws}/test`);
    const frames = await client.ask({ content: 'good morning', agent: 'my-agent' });
    await client.close();
    return textOf(frames);
  },
  endpoint: async (server) => (await fetch(`${server.url}/my-endpoint/bee`)).json(),
  task: async (server) =>
    (
      await fetch(`${server.url}/tasks/my-task:run?wait=10000`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"input":{"limit":100}}',
      })
    ).json(),
};

describe('waggle new', () => {
  it.each([
    ['agent', 'good morning '],
    ['endpoint', { hello: 'bee' }],
    ['task', expect.objectContaining({ output: { primes: 25 } })],
  ])('%s: what it writes is built, tested and served, by name and as an extension', async (kind, answer) => {
    const folder = tempFolder();
    const name = `my-${kind}`;
    const { stdout } = await waggleNew(folder, kind, name);
    expect(stdout).toContain(`${name}/index.ts\n`);
    expect(stdout).toContain(`cd ${name} && npm install && npm test`);
    const project = join(folder.path, name);
    install(project);

    const tested = await run('npm', ['test'], { cwd: project });
    expect(tested.stdout).toMatch(/^# pass 1$/m);

    const use = project;
    for (const config of [{ plugins: { [name]: { use } } }, { extensions: folder.path }]) {
      const server = await startServer({ config });
      expect(await asks[kind]?.(server)).toEqual(answer);
      expect(await server.stop()).toBe(0);
    }

    // Last, as the servers above run what is not built.
    expect(readdirSync(project)).not.toContain('dist');
    await run('npm', ['run', 'build'], { cwd: project });
    expect(readdirSync(join(project, 'dist'))).toEqual(expect.arrayContaining(['index.js', 'index.d.ts']));
    const built = await import(join(project, 'dist/index.js'));
    expect(built.default).toMatchObject({ name, apiVersion: 1 });
  });

  it('depends on the package that runs it: this checkout, as long as it is one', async () => {
    const folder = tempFolder();
    await waggleNew(folder, 'agent', 'mine');
    const manifest = JSON.parse(readFileSync(join(folder.path, 'mine/package.json'), 'utf8'));
    const { version, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(manifest.peerDependencies).toEqual({ 'waggle-server': `^${version}` });
    const { 'waggle-server': source, ...tools } = manifest.devDependencies;
    expect(`${join(folder.path, 'mine', source.replace('file:', ''))}/`).toBe(join(root, '/'));
    for (const [tool, range] of Object.entries(tools))
      expect([tool, range]).toEqual([tool, devDependencies[tool]]);
  });

  it.each([
    [['agent', 'My Agent'], '"My Agent" is no name for a plugin'],
    [['agent', '../out'], '"../out" is no name for a plugin'],
    [['task', '1st'], '"1st" is no name for a plugin'],
    [['agent', 'agent-queen'], '"agent-queen" is a built-in plugin'],
    [['endpoint', 'taken'], 'is there already'],
    [['plugin', 'mine'], 'Allowed choices are agent, task, endpoint'],
    [['agent'], "missing required argument 'name'"],
  ])('refuses %j, and writes nothing', async (args, message) => {
    const folder = tempFolder();
    folder.write('taken/keep.txt', 'mine');
    const failure = await waggleNew(folder, ...args).catch((error) => error);
    expect(failure).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(message) });
    expect(readdirSync(folder.path)).toEqual(['taken']);
    expect(readdirSync(join(folder.path, 'taken'))).toEqual(['keep.txt']);
  });
});
