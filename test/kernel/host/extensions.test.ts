import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../kernel/host/config/read-config.js';
import { loadPlugins } from '../../../kernel/host/loader/load-plugins.js';
import { Kernel } from '../../../kernel/kernel.js';
import { recordingLogger, tempFolder } from '../../support/kernel.js';

const run = (text: string) => `globalThis.ran = (globalThis.ran ?? []).concat(import.meta.url);\n${text}`;
const plugin = run(`export default { name: 'x', apiVersion: 1, setup() {} };`);
const typed = run(`const made: object = { name: 'x', apiVersion: 1, setup() {} };\nexport default made;`);
const script = run(`export const help = () => 'me';`);
const stray = run(`throw new Error('deleted everything');`);

/** What the files of a folder of extensions come to: plugins that were loaded, modules that ran, what was said. */
async function load(files: Readonly<Record<string, string>>, yaml = '') {
  const folder = tempFolder();
  for (const [name, text] of Object.entries(files)) folder.write(`extensions/${name}`, text);
  const config = await readConfig([folder.write('c.yaml', `extensions: extensions\n${yaml}`)], {});
  const { logger, lines } = recordingLogger();
  const kernel = new Kernel({ logger });
  const { ran } = Object.assign(globalThis, { ran: [] as string[] });
  const { issues, failures } = await loadPlugins(kernel, config, logger);
  expect({ issues, failures }).toEqual({ issues: [], failures: [] });
  return {
    plugins: kernel.inspect().plugins.map(({ id }) => id),
    ran: (globalThis as unknown as { ran: typeof ran }).ran,
    skipped: lines.filter(({ msg }) => msg === 'left alone in the folder of extensions'),
  };
}

describe('in the folder of extensions', () => {
  it.each<[string, string, Record<string, string>, string?]>([
    ['a file that says so', 'shout', { 'shout.js': plugin }],
    ['a file in TypeScript', 'shout', { 'shout.ts': typed }],
    ['a folder with an index', 'shout', { 'shout/index.js': plugin, 'shout/shout.test.js': stray }],
    ['a folder with a package', 'shout', { 'shout/package.json': '{"main":"a.js"}', 'shout/a.js': plugin }],
    [
      'a package that stands on this one',
      'shout',
      {
        'shout/package.json': '{"type":"module","peerDependencies":{"waggle-server":"^0.1.0"},"main":"a.js"}',
        'shout/a.js': `import plugin from './b.js';\nexport default plugin;`,
        'shout/b.js': plugin,
      },
    ],
    [
      'a package with a keyword',
      'shout',
      {
        'shout/package.json': '{"type":"module","keywords":["waggle-plugin"],"main":"a.js"}',
        'shout/a.js': `import plugin from './b.js';\nexport default plugin;`,
        'shout/b.js': plugin,
      },
    ],
    [
      'a file that passes one on',
      'shout',
      { 'shout.mjs': `export { default } from './lib/x.mjs';`, 'lib/x.mjs': plugin },
    ],
    [
      'a name with its kind',
      'agent-shout',
      {
        'agent-shout.mjs': `import plugin from './lib/x.mjs';\nexport default plugin;`,
        'lib/x.mjs': plugin,
      },
    ],
    [
      'what the config names',
      'shout',
      {
        'shout.mjs': `import plugin from './lib/x.mjs';\nexport default plugin;`,
        'lib/x.mjs': plugin,
      },
      'plugins: { shout: { config: { mark: 1 } } }',
    ],
  ])('%s is a plugin', async (_, id, files, yaml) => {
    expect((await load(files, yaml)).plugins).toEqual([id]);
  });

  it.each([
    ['a test', 'agent-shout.test.js', stray],
    ['a test in TypeScript', 'agent-shout.test.ts', stray],
    ['a specification', 'agent-shout.spec.mjs', stray],
    ['a test that looks like a plugin', 'agent-shout.test.mjs', plugin],
    ['the module of a task', 'count.task.js', stray],
    ['a config of a tool', 'vitest.config.ts', stray],
    ['a helper', 'helper.js', script],
    ['a private file', '_agent.js', plugin],
    ['a stray script', 'seed.mjs', stray],
    ['a script that is CommonJS', 'agent-old.cjs', stray],
    ['a folder of helpers', 'helpers/index.js', script],
    ['a folder of tests', 'test/agent.test.js', stray],
    ['a private folder', '_old/index.js', plugin],
    ['a folder of a version before', 'agent-shout.bak/index.js', plugin],
    ['an empty file', 'empty.js', ''],
  ])('%s is not run, and the log says so: %s', async (_, name, text) => {
    const { plugins, ran, skipped } = await load({ [name]: text, 'good.mjs': plugin });
    expect(plugins).toEqual(['good']);
    expect(ran).toEqual([expect.stringContaining('good.mjs')]);
    expect(skipped).toMatchObject([
      { level: 'info', extension: name.split('/')[0], why: expect.any(String) },
    ]);
  });

  it.each([
    ['a declaration beside its plugin', 'types.d.ts'],
    ['a hidden file', '.eslintrc.js'],
    ['packages', 'node_modules/x/index.js'],
    ['a text', 'README.md'],
    ['data', 'data.json'],
  ])('%s is not run', async (_, name) => {
    const { plugins, ran } = await load({ [name]: stray, 'good.mjs': plugin });
    expect(plugins).toEqual(['good']);
    expect(ran).toHaveLength(1);
  });
});
