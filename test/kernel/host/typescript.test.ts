import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../kernel/host/config/read-config.js';
import { importEntry } from '../../../kernel/host/loader/import-plugin.js';
import { entriesOf } from '../../../kernel/host/loader/load-plugins.js';
import { rejection, silentLogger, startKernel, type TempFolder, tempFolder } from '../../support/kernel.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Uses what only TypeScript has, and what only some of its compilers do in the same way. */
const fancy = `import { definePlugin, type PluginContext, version } from 'waggle-server';
import eliza from 'waggle-server/plugins/agent-eliza';
import type { Nowhere } from './nowhere.js';
import { suffix } from './lib/suffix.js';

enum Size { small = 1, big }

const seen: unknown[] = [];
const note = (...args: unknown[]) => void seen.push(args.length);
const asClass = (target: object) => void seen.push(typeof target);

@asClass
class Labels {
  declare readonly later: Nowhere;
  @note readonly field = Size[Size.big];
  constructor(@note private readonly text: string) {}
  get label(): string { return [this.text, eliza.name, this.field, seen.join(), suffix satisfies string].join(' '); }
}

export default definePlugin({
  name: 'fancy',
  apiVersion: 1,
  async setup(ctx: PluginContext) {
    await using closing = { [Symbol.asyncDispose]: async () => {} };
    ctx.effect(new Labels(version!).label as string, () => () => {});
  },
});
`;

/** What the plugin of an entry has in effect once it runs, or the error of its import. */
async function effects(folder: TempFolder, yaml: string, generation = 0): Promise<readonly string[]> {
  const config = await readConfig([folder.write('c.yaml', yaml)], {});
  const [entry] = entriesOf(config, []).entries;
  const { plugin, options } = await importEntry(entry!, config, silentLogger, generation);
  const kernel = await startKernel([[plugin, options]]);
  const { effects: labels } = kernel.inspect().plugins[0]!;
  await kernel.stop();
  return labels;
}

function showing(text: string): string {
  return `export default { name: 'x', apiVersion: 1 as const, setup(ctx: any): void { ctx.effect(${text}, () => () => {}); } };`;
}

describe('a plugin in TypeScript', () => {
  it.each(['./fancy.ts', './fancy.mts', './folder', './package'])('runs without a build: %s', async (use) => {
    const folder = tempFolder();
    const place = {
      './fancy.ts': 'fancy.ts',
      './fancy.mts': 'fancy.mts',
      './folder': 'folder/index.ts',
      './package': 'package/src/main.ts',
    }[use] as string;
    folder.write(place, fancy);
    folder.write(join(place, '..', 'lib/suffix.ts'), `export const suffix: string = 'end';`);
    folder.write(
      'package/package.json',
      '{ "exports": { ".": { "source": "./src/main.ts", "default": "./dist/x.js" } } }',
    );
    expect(await effects(folder, `plugins: { x: { use: ${use} } }`)).toEqual([
      expect.stringMatching(/^\d+\.\d+\.\d+ agent-eliza big 3,3,function end$/),
    ]);
  });

  it('runs from the folder of extensions, where its declarations are not taken for one', async () => {
    const folder = tempFolder();
    folder.write('more/x.ts', showing(`'dropped'`));
    for (const name of ['a.d.ts', 'b.d.mts']) folder.write(`more/${name}`, 'this is no module');
    expect(await effects(folder, 'extensions: more')).toEqual(['dropped']);
  });

  it('of a package is its source where that is there, and else what was built of it', async () => {
    const folder = tempFolder();
    folder.write(
      'p/package.json',
      '{ "type": "module", "exports": { ".": { "source": "./a.ts", "default": "./dist/a.js" } } }',
    );
    folder.write('p/dist/a.js', showing(`'built'`).replace(/ as const|: any|: void/g, ''));
    expect(await effects(folder, 'plugins: { x: { use: ./p } }')).toEqual(['built']);
    folder.write('p/a.ts', showing(`'source'`));
    expect(await effects(folder, 'plugins: { x: { use: ./p } }')).toEqual(['source']);
  });

  it('imports JavaScript where that is there, and TypeScript of that name where it is not', async () => {
    const folder = tempFolder();
    folder.write(
      'x.ts',
      `import { a } from './both.js';\nimport { b } from './only.js';\n${showing('a + b')}`,
    );
    folder.write('both.js', `export const a = 'js ';`);
    folder.write('both.ts', `export const a = 'ts ';`);
    folder.write('only.ts', `export const b: string = 'ts';`);
    expect(await effects(folder, 'plugins: { x: { use: ./x.ts } }')).toEqual(['js ts']);
  });

  it('keeps imports that are there for what they do', async () => {
    const folder = tempFolder();
    folder.write(
      'x.ts',
      `import { unused } from './side.js';\n${showing(`String((globalThis as any).side)`)}`,
    );
    folder.write('side.ts', 'export const unused = 1; (globalThis as any).side = true;');
    expect(await effects(folder, 'plugins: { x: { use: ./x.ts } }')).toEqual(['true']);
  });

  it.each([
    ['itself', 'x.ts'],
    ['a file that it imports', 'lib.ts'],
  ])('says where the mistake is when %s cannot be read', async (_, broken) => {
    const folder = tempFolder();
    folder.write('x.ts', `import './lib.js';\n${showing(`'x'`)}`);
    folder.write('lib.ts', '');
    const file = folder.write(broken, `// ä 😀\nexport const fine = 'ü';\nconst a: number = ;\n`);
    expect(await rejection(effects(folder, 'plugins: { mine: { use: ./x.ts } }'))).toMatchObject({
      code: 'KERNEL_PLUGIN_FAILED',
      message: `plugin "mine" failed during import: ${file}:3:19: Unexpected token`,
    });
  });
});

describe('another generation of a plugin', () => {
  it('is read anew with all modules of its folder, and with nothing from elsewhere', async () => {
    const folder = tempFolder();
    const write = (generation: string) => {
      folder.write(
        'p/src/main.ts',
        `import { a } from '../lib/a.js';\nimport { other } from '../../other.js';\nimport { npm } from 'npm';\n${showing(`[${generation}, a, other, npm].join(' ')`)}`,
      );
      folder.write(
        'p/lib/a.ts',
        `import { b } from './deep/b.js';\nexport const a = \`${generation} \${b}\`;`,
      );
      folder.write('p/lib/deep/b.js', `export const b = '${generation}';`);
      folder.write('p/node_modules/npm/index.js', `export const npm = '${generation}';`);
      folder.write('other.js', `export const other = '${generation}';`);
    };
    folder.write('p/package.json', '{ "type": "module", "main": "./src/main.ts" }');
    folder.write('p/node_modules/npm/package.json', '{ "type": "module", "exports": "./index.js" }');
    const yaml = 'plugins: { p: { use: ./p } }';
    write('1');
    expect(await effects(folder, yaml)).toEqual(['1 1 1 1 1']);
    write('2');
    expect(await effects(folder, yaml)).toEqual(['1 1 1 1 1']);
    expect(await effects(folder, yaml, 1)).toEqual(['2 2 2 1 1']);
    write('3');
    expect(await effects(folder, yaml, 1)).toEqual(['2 2 2 1 1']);
    expect(await effects(folder, yaml, 2)).toEqual(['3 3 3 1 1']);
  });

  it('may be one file, also behind a link', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder.path, 'real'));
    symlinkSync(join(folder.path, 'real'), join(folder.path, 'link'));
    const yaml = 'plugins: { p: { use: ./link/x.ts } }';
    for (const generation of [1, 2, 3]) {
      folder.write('real/x.ts', `import { text } from './text.js';\n${showing('text')}`);
      folder.write('real/text.ts', `export const text = 'number ${generation}';`);
      expect(await effects(folder, yaml, generation)).toEqual([`number ${generation}`]);
    }
  });
});

describe('another generation of a CommonJS plugin', () => {
  it('is read anew, too', async () => {
    const folder = tempFolder();
    const old = `module.exports = { name: 'x', apiVersion: 1, setup(ctx) { ctx.effect(require('./lib.cjs'), () => () => {}); } };`;
    folder.write('p/index.cjs', old);
    folder.write('p/package.json', '{ "main": "index.cjs" }');
    for (const generation of [0, 1, 2]) {
      folder.write('p/lib.cjs', `module.exports = 'number ${generation}';`);
      expect(await effects(folder, 'plugins: { p: { use: ./p } }', generation)).toEqual([
        `number ${generation}`,
      ]);
    }
  });
});

describe('the package', () => {
  /** A folder in which `waggle-server` is installed. */
  function installed(): TempFolder {
    const folder = tempFolder();
    mkdirSync(join(folder.path, 'node_modules'));
    symlinkSync(root, join(folder.path, 'node_modules', 'waggle-server'));
    folder.write('lib.ts', `export const answer: number = 42;`);
    return folder;
  }

  it('lets any process run TypeScript: node --import waggle-server/register', async () => {
    const folder = installed();
    folder.write(
      'main.ts',
      `import { version } from 'waggle-server';
import eliza from 'waggle-server/plugins/agent-eliza';
import { answer } from './lib.js';

interface Lines {
  readonly gone: string;
}
console.log(typeof version, eliza.name, answer as number);
throw new Error('on line 9');
`,
    );
    const run = promisify(execFile)(process.execPath, ['--import', 'waggle-server/register', 'main.ts'], {
      cwd: folder.path,
    });
    const { stdout, stderr } = (await run.catch((error) => error)) as { stdout: string; stderr: string };
    expect(stdout).toBe('string agent-eliza 42\n');
    expect(stderr).toContain('main.ts:9:');
  });

  it('lets a worker thread run TypeScript when that imports #register first, or is told to', async () => {
    const folder = installed();
    const task = folder.write(
      'task.ts',
      `import { answer } from './lib.js';\nexport default (): number => answer;`,
    );
    const register = new URL('../../../dist/kernel/host/loader/register.js', import.meta.url).href;
    const run = (code: string, execArgv: string[] = []) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
          execArgv,
          workerData: pathToFileURL(task).href,
        });
        worker.once('message', resolve).once('error', reject);
      });
    const work = `import { parentPort, workerData } from 'node:worker_threads';
parentPort.postMessage((await import(workerData)).default());`;
    expect(await run(`await import('${register}');\n${work}`)).toBe(42);
    expect(await run(work, ['--import', register])).toBe(42);
    // Hooks are of one thread: those of the main thread, which import `./lib.js` above, are not in force there.
    await import('../../../kernel/host/loader/register.js');
    await expect(run(work)).rejects.toThrow();
  });
});
