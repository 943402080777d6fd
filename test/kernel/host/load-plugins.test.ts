import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../../kernel/host/config/read-config.js';
import { loadPlugins } from '../../../kernel/host/loader/load-plugins.js';
import { builtInNames } from '../../../kernel/host/loader/resolve-plugin.js';
import { Kernel } from '../../../kernel/kernel.js';
import { version } from '../../../kernel/sdk/version.js';
import { recordingLogger, rejection, type TempFolder, tempFolder } from '../../support/kernel.js';

/** A module whose plugin shows its config in the report. */
function source(name: string): string {
  return `export default {
  name: '${name}',
  apiVersion: 1,
  setup(ctx) {
    ctx.effect('config ' + JSON.stringify(ctx.config), () => () => {});
  },
};
`;
}

const throwing = `throw new Error('no native module');`;

/** Loads what the text of a config file names, beside which the modules of `folder` are. */
async function load(folder: TempFolder, yaml: string) {
  const { logger, lines } = recordingLogger();
  const kernel = new Kernel({ logger });
  const config = await readConfig([folder.write('c.yaml', yaml)], {});
  const loaded = await loadPlugins(kernel, config, logger);
  const issues = [...config.issues, ...loaded.issues];
  return { kernel, config, lines, issues, failures: loaded.failures };
}

/** The same, of which nothing is wrong: what runs, by id. */
async function run(folder: TempFolder, yaml: string) {
  const { kernel, lines, issues, failures } = await load(folder, yaml);
  expect({ issues, failures }).toEqual({ issues: [], failures: [] });
  await kernel.start();
  const running = Object.fromEntries(
    kernel.inspect().plugins.map(({ id, name, effects }) => [id, `${name}: ${effects.join(', ')}`]),
  );
  await kernel.stop();
  return { running, lines };
}

describe('a plugin', () => {
  it('is built in when its id, or what `use` says, is the name of one', async () => {
    const { kernel, issues } = await load(
      tempFolder(),
      'plugins: { agent-eliza: , second: { use: agent-eliza, config: { name: emma } } }',
    );
    expect(issues).toEqual([]);
    await kernel.start();
    expect(kernel.inspect().plugins).toMatchObject([
      { id: 'agent-eliza', name: 'agent-eliza', effects: ['agent eliza'] },
      { id: 'second', name: 'agent-eliza', effects: ['agent emma'] },
    ]);
    await kernel.stop();
    expect(builtInNames()).toEqual(expect.arrayContaining(['agent-eliza', 'agent-ollama']));
  });

  it('is a file or a folder, relative to the config file that names it, or at any path', async () => {
    const folder = tempFolder();
    const absolute = folder.write('lib/absolute.js', source('absolute'));
    folder.write('file.js', source('file'));
    folder.write('file.mjs', source('mjs'));
    folder.write('folder/index.js', source('folder'));
    folder.write('package/package.json', '{ "main": "lib/start.js", "type": "module" }');
    folder.write('package/lib/start.js', source('package'));
    const { running } = await run(
      folder,
      `
plugins:
  a: { use: ./file.js, config: { n: 1 } }
  b: { use: ./file.mjs }
  c: { use: ./folder }
  d: { use: ./lib/../package/ }
  e: { use: ${absolute} }
  f: { use: "file://${absolute}" }
`,
    );
    expect(running).toEqual({
      a: 'file: config {"n":1}',
      b: 'mjs: config undefined',
      c: 'folder: config undefined',
      d: 'package: config undefined',
      e: 'absolute: config undefined',
      f: 'absolute: config undefined',
    });
  });

  it('is an npm package beside the config file or above it, by `exports`, by `main` or by index.js', async () => {
    const folder = tempFolder();
    const npm = (name: string, manifest: object, entryPoint: string) => {
      const text = JSON.stringify({ name, type: 'module', ...manifest });
      folder.write(`node_modules/${name}/package.json`, text);
      folder.write(`node_modules/${name}/${entryPoint}`, source(name));
    };
    npm('by-exports', { exports: './lib/a.js', main: './wrong.js' }, 'lib/a.js');
    npm(
      'by-condition',
      { exports: { '.': { types: './a.d.ts', import: './lib/a.js', require: './a.cjs' } } },
      'lib/a.js',
    );
    npm('by-default', { exports: { default: './lib/a.js' } }, 'lib/a.js');
    npm('@scope/by-main', { main: 'lib/a' }, 'lib/a.js');
    npm('by-main-folder', { main: './lib' }, 'lib/index.js');
    npm('by-nothing', {}, 'index.js');
    folder.write('node_modules/no-manifest/index.mjs', source('no-manifest'));
    const names = [
      'by-exports',
      'by-condition',
      'by-default',
      '@scope/by-main',
      'by-main-folder',
      'by-nothing',
      'no-manifest',
    ];
    const below: TempFolder = { ...folder, write: (name, text) => folder.write(`deep/er/${name}`, text) };
    const { running } = await run(below, `plugins:\n${names.map((name) => `  "${name}":`).join('\n')}`);
    expect(Object.keys(running)).toEqual(names);
    for (const name of names) expect(running[name]).toBe(`${name}: config undefined`);
  });

  it('may be a CommonJS module', async () => {
    const folder = tempFolder();
    folder.write('old.cjs', source('old').replace('export default', 'module.exports ='));
    const { running } = await run(folder, 'plugins: { old: { use: ./old.cjs } }');
    expect(running).toEqual({ old: 'old: config undefined' });
  });

  it('that is switched off is not even looked for', async () => {
    const { kernel, issues } = await load(
      tempFolder(),
      'plugins: { nowhere: { use: ./nowhere.js, enabled: false } }',
    );
    expect(issues).toEqual([]);
    expect(kernel.inspect().plugins).toEqual([]);
  });

  it('is named by the errors that arise in its files', async () => {
    const folder = tempFolder();
    folder.write(
      'p/index.js',
      `import { fail } from './deep/fail.js';\n${source('p').replace('ctx.effect', 'fail(); ctx.effect')}`,
    );
    folder.write('p/deep/fail.js', `export const fail = () => { throw new Error('boom'); };`);
    const { kernel } = await load(folder, 'plugins: { mine: { use: ./p } }');
    const error = await rejection(kernel.start());
    expect(error.message).toBe('plugin "mine" failed during setup: boom');
    expect(kernel.pluginOf(error)).toBe('mine');
  });
});

describe('the version of a plugin', () => {
  it('is its own, else that of the package that its module is part of', async () => {
    const folder = tempFolder();
    folder.write('package.json', '{ "version": "1.2.3", "type": "module" }');
    folder.write('file.js', source('file'));
    folder.write('own.js', source('own').replace('apiVersion', `version: '9.9.9', apiVersion`));
    folder.write('deep/package.json', '{ "type": "module" }');
    folder.write('deep/er/index.js', source('deep'));
    const { kernel } = await load(
      folder,
      'plugins: { file: { use: ./file.js }, own: { use: ./own.js }, deep: { use: ./deep/er }, agent-eliza: }',
    );
    const versions = kernel.inspect().plugins.map((each) => [each.id, each.version]);
    expect(versions).toEqual([
      ['file', '1.2.3'],
      ['own', '9.9.9'],
      ['deep', undefined],
      ['agent-eliza', version],
    ]);
  });
});

describe('a mistake', () => {
  it.each([
    ['agent-elisa', 'no built-in plugin or npm package is called "agent-elisa", did you mean "agent-eliza"?'],
    ['something-else', 'no built-in plugin or npm package is called "something-else"; for a file write ./'],
    ['my-agent.js', 'no built-in plugin or npm package is called "my-agent.js"; for a file write ./'],
    ['./nowhere.js', 'no file or folder with an index.js is at "./nowhere.js"'],
    ['./c.yaml/x', 'no file or folder with an index.js is at "./c.yaml/x"'],
    ['./empty', 'no file or folder with an index.js is at "./empty"'],
    ['../../nowhere', 'no file or folder with an index.js is at "../../nowhere"'],
    ...[
      'data:text/javascript,1',
      'http://x.test/a.js',
      'https://x.test/a.js',
      'node:child_process',
      'npm:x',
    ].map((use): [string, string] => [
      use,
      `"${use}" is refused: plugins are built-in names, files, folders or npm packages`,
    ]),
  ])('is a module that is not there or not allowed: %s', async (use, expected) => {
    const folder = tempFolder();
    mkdirSync(join(folder.path, 'empty'));
    const { issues } = await load(
      folder,
      `plugins: { p: { use: ${JSON.stringify(use)}, optional: true, fallback: agent-eliza } }`,
    );
    expect(issues).toEqual([`c.yaml: p: ${expected}`]);
  });

  it.each([
    [
      'no default export',
      'export const plugin = 1;',
      '"p" is not a plugin: its module has no default export',
    ],
    ['no object', 'export default 5;', '"p" is not a plugin: the default export is not an object'],
    [
      'no setup',
      `export default { name: 'p', apiVersion: 1 };`,
      '"p" is not a plugin: "setup" is not a function',
    ],
    [
      'another version',
      `export default { name: 'p', apiVersion: 2, setup() {} };`,
      '"p" is not a plugin: "apiVersion" is 2; this kernel speaks version 1',
    ],
  ])('is a module that holds no plugin: %s', async (_, text, expected) => {
    const folder = tempFolder();
    folder.write('p.js', text);
    const { issues, failures } = await load(folder, 'plugins: { p: { use: ./p.js, optional: true } }');
    expect(issues).toEqual([`c.yaml: p: ${expected}`]);
    expect(failures).toEqual([]);
  });

  it('is a package whose manifest is broken', async () => {
    const folder = tempFolder();
    folder.write('node_modules/broken/package.json', '{');
    const { issues } = await load(folder, 'plugins: { broken: }');
    expect(issues).toEqual([expect.stringMatching(/^c\.yaml: broken: .*JSON/)]);
  });

  it('comes together with all others, each with the file it was made in', async () => {
    const folder = tempFolder();
    folder.write('good.js', source('good'));
    const first = folder.write(
      'a.yaml',
      'plugins: { x: { use: ./x.js }, y: { use: data:x }, good: { use: ./good.js } }',
    );
    const second = folder.write('b.yaml', 'plugins: { x: { use: ./z.js } }');
    const { logger } = recordingLogger();
    const kernel = new Kernel({ logger });
    const { issues } = await loadPlugins(kernel, await readConfig([first, second], {}), logger);
    expect(issues).toEqual([
      'b.yaml: x: no file or folder with an index.js is at "./z.js"',
      'a.yaml: y: "data:x" is refused: plugins are built-in names, files, folders or npm packages',
    ]);
    expect(kernel.inspect().plugins.map(({ id }) => id)).toEqual(['good']);
  });
});

describe('a module that throws while it is imported', () => {
  it('is a failure that names plugin, phase and cause', async () => {
    const folder = tempFolder();
    folder.write('bad.js', throwing);
    const { issues, failures } = await load(folder, 'plugins: { mine: { use: ./bad.js } }');
    expect(issues).toEqual([]);
    expect(failures).toMatchObject([
      {
        code: 'KERNEL_PLUGIN_FAILED',
        message: 'plugin "mine" failed during import: no native module',
        cause: { message: 'no native module' },
      },
    ]);
  });

  it.each([
    ['a file it needs is missing', `import './nowhere.js';`],
    ['it is no JavaScript', 'export default {'],
  ])('is one also when %s', async (_, text) => {
    const folder = tempFolder();
    folder.write('bad.js', text);
    const { failures } = await load(folder, 'plugins: { mine: { use: ./bad.js } }');
    expect(failures).toMatchObject([{ code: 'KERNEL_PLUGIN_FAILED', details: { phase: 'import' } }]);
  });

  it('leaves the others running when it is optional, and the report says why it does not', async () => {
    const folder = tempFolder();
    folder.write('bad.js', throwing);
    folder.write('good.js', source('good'));
    const { kernel, issues, failures } = await load(
      folder,
      'plugins: { bad: { use: ./bad.js, optional: true }, good: { use: ./good.js } }',
    );
    expect({ issues, failures }).toEqual({ issues: [], failures: [] });
    await kernel.start();
    expect(kernel.state).toBe('degraded');
    expect(kernel.inspect().plugins).toMatchObject([
      {
        id: 'bad',
        state: 'failed',
        optional: true,
        error: 'plugin "bad" failed during import: no native module',
      },
      { id: 'good', state: 'active' },
    ]);
    await kernel.stop();
  });

  it('is replaced by its fallback, with the same config, and one line says so', async () => {
    const folder = tempFolder();
    folder.write('native.js', throwing);
    folder.write('pure.js', source('pure'));
    const { running, lines } = await run(
      folder,
      'plugins: { transport: { use: ./native.js, fallback: ./pure.js, config: { port: 1 } } }',
    );
    expect(running).toEqual({ transport: 'pure: config {"port":1}' });
    expect(lines).toMatchObject([
      {
        level: 'warn',
        plugin: 'transport',
        fallback: './pure.js',
        node: process.version,
        why: 'no native module',
        msg: 'the module of "./native.js" cannot be loaded; "./pure.js" takes its place',
      },
    ]);
  });

  it('is a failure of the fallback when that throws, too', async () => {
    const folder = tempFolder();
    folder.write('native.js', throwing);
    folder.write('pure.js', `throw new Error('nor this');`);
    const { failures } = await load(
      folder,
      'plugins: { transport: { use: ./native.js, fallback: ./pure.js } }',
    );
    expect(failures).toMatchObject([{ message: 'plugin "transport" failed during import: nor this' }]);
  });
});

describe('the folder of extensions', () => {
  it('gives every plugin in it, files and folders, by name; other things in it do not matter', async () => {
    const folder = tempFolder();
    for (const name of ['b.js', 'a.mjs', 'folder/index.js']) folder.write(`more/${name}`, source(name));
    folder.write('more/package/package.json', '{ "exports": "./start.js" }');
    folder.write('more/package/start.js', source('package'));
    for (const name of ['readme.md', 'types.d.ts', '.hidden.js', 'no-plugin/data.json', '.git/index.js'])
      folder.write(`more/${name}`, 'this is not a module');
    symlinkSync(join(folder.path, 'gone.js'), join(folder.path, 'more', 'dangling.js'));
    const { running } = await run(folder, 'extensions: ./more');
    expect(running).toEqual({
      a: 'a.mjs: config undefined',
      b: 'b.js: config undefined',
      folder: 'folder/index.js: config undefined',
      package: 'package: config undefined',
    });
  });

  it('is configured, and switched off, by entries of the same id; an entry with `use` goes first', async () => {
    const folder = tempFolder();
    for (const name of ['on', 'off', 'other']) folder.write(`more/${name}.js`, source(`extension ${name}`));
    folder.write('mine.js', source('mine'));
    const { running } = await run(
      folder,
      `
extensions: more
plugins:
  on: { config: { n: 1 } }
  off: { enabled: false }
  other: { use: ./mine.js }
`,
    );
    expect(running).toEqual({ on: 'extension on: config {"n":1}', other: 'mine: config undefined' });
  });

  it('names issues in a config of such an entry by its file', async () => {
    const folder = tempFolder();
    folder.write(
      'more/picky.js',
      `export default {
  name: 'picky',
  apiVersion: 1,
  config: { '~standard': { version: 1, vendor: 'x', validate: () => ({ issues: [{ message: 'no', path: ['key'] }] }) } },
  setup() {},
};`,
    );
    const check = async (yaml: string) => rejection((await load(folder, yaml)).kernel.check());
    expect((await check('extensions: more\nplugins: { picky: { config: {} } }')).message).toContain(
      'c.yaml: picky.key: no',
    );
    expect((await check('extensions: more')).message).toContain('\n  picky.key: no');
  });

  it('refuses links that lead out of it, to files, folders and from within a folder', async () => {
    const folder = tempFolder();
    folder.write('outside/index.js', source('outside'));
    folder.write('outside.js', source('outside'));
    folder.write('more/inside/index.js', source('inside'));
    folder.write('more/main/package.json', '{ "main": "../../outside.js" }');
    mkdirSync(join(folder.path, 'more', 'half'));
    const link = (to: string, name: string) =>
      symlinkSync(join(folder.path, to), join(folder.path, 'more', name));
    link('outside.js', 'file.js');
    link('outside', 'folder');
    link('outside.js', 'half/index.js');
    folder.write('more-of-it/index.js', source('outside'));
    link('more-of-it', 'sibling');
    link('more/inside', 'alias');
    const { kernel, issues } = await load(folder, 'extensions: more');
    expect(issues).toEqual(
      ['file.js', 'folder', 'half', 'main', 'sibling'].map(
        (name) => `extensions: ${name}: refused, because it is a link that leads out of the folder`,
      ),
    );
    expect(kernel.inspect().plugins.map(({ id }) => id)).toEqual(['alias', 'inside']);
  });

  it('says which extension is broken, and loads the others', async () => {
    const folder = tempFolder();
    folder.write('more/broken/package.json', '{');
    folder.write('more/good.js', source('good'));
    folder.write('more/none.js', 'export const apiVersion = 1;');
    const { kernel, issues } = await load(folder, 'extensions: more');
    expect(issues).toEqual([
      expect.stringMatching(/^extensions: broken: .*JSON/),
      'c.yaml: none: "none" is not a plugin: its module has no default export',
    ]);
    expect(kernel.inspect().plugins.map(({ id }) => id)).toEqual(['good']);
  });

  it('must exist when a config names it, and need not when none does', async () => {
    const folder = tempFolder();
    folder.write('file', '');
    for (const name of ['nowhere', './file'])
      expect((await load(folder, `extensions: ${name}`)).issues).toEqual([
        `c.yaml: extensions: no folder is at "${name}"`,
      ]);
    expect((await load(folder, '')).issues).toEqual([]);
  });

  it('is ./extensions where the server was started when no config names one', async () => {
    const folder = tempFolder();
    folder.write('extensions/dropped.js', source('dropped'));
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(folder.path);
    expect((await run(folder, '')).running).toEqual({ dropped: 'dropped: config undefined' });
  });
});
