import { describe, expect, it } from 'vitest';
import { runWaggle } from '../support/server.js';

const body = `export default { name: 'agent-bad', apiVersion: 1, setup() {} };`;
const inSetup = (code: string) =>
  `export default { name: 'agent-bad', apiVersion: 1, setup(ctx) { ${code} } };`;
const file = 'extensions/agent-bad.js';
const commonJs = '{ "type": "commonjs" }';

/** The files of a start that fails, and what it says on standard error. */
const failures: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
  [
    'process.exit',
    { [file]: `process.exit(3);\n${body}` },
    /process\.exit\(3\) was called at \S+agent-bad\.js:1$/m,
  ],
  ['process.exit with 0', { [file]: `process.exit(0);\n${body}` }, /process\.exit\(0\) .*agent-bad\.js:1$/m],
  [
    'process.exit in TypeScript',
    { 'extensions/agent-bad.ts': `process.exit(3 as number);\n${body}` },
    /process\.exit\(3\) .*agent-bad\.ts:1$/m,
  ],
  [
    'process.exit in a helper',
    { [file]: `import './lib/help.mjs';\n${body}`, 'extensions/lib/help.mjs': 'process.exit(3)' },
    /process\.exit\(3\) .*help\.mjs:1$/m,
  ],
  [
    'process.exit in CommonJS',
    { 'extensions/agent-bad/index.js': 'process.exit(3);', 'extensions/agent-bad/package.json': commonJs },
    /process\.exit\(3\) .*agent-bad\/index\.js:1$/m,
  ],
  [
    'process.exit later',
    { [file]: `setImmediate(() => process.exit(3));\nawait new Promise(() => {});\n${body}` },
    /process\.exit\(3\) .*agent-bad\.js:1/,
  ],
  [
    'process.exit in setup',
    { [file]: inSetup('process.exit(3)') },
    /"agent-bad" failed during setup: process\.exit\(3\) .*agent-bad\.js:1$/m,
  ],
  [
    'process.exit when all is ready',
    { [file]: inSetup('ctx.onReady(() => process.exit(3))') },
    /"agent-bad" failed during ready: process\.exit\(3\) .*agent-bad\.js:1$/m,
  ],
  ['process.abort', { [file]: `process.abort();\n${body}` }, /process\.abort\(\) .*agent-bad\.js:1$/m],
  [
    'an await that never ends',
    { [file]: `await new Promise(() => {});\n${body}` },
    /"agent-bad": import timed out after 500 ms$/m,
  ],
  [
    'an await in a helper that never ends',
    {
      [file]: `import './lib/help.mjs';\n${body}`,
      'extensions/lib/help.mjs': 'await new Promise(() => {});',
    },
    /"agent-bad": import timed out after 500 ms$/m,
  ],
  [
    'null that is thrown',
    { [file]: `throw null;\n${body}` },
    /failed during import: null \(\S+agent-bad\.js, or a file that it imports\)$/m,
  ],
  [
    'a text that is thrown',
    { [file]: `throw 'no';\n${body}` },
    /failed during import: no \(\S+agent-bad\.js, or a file that it imports\)$/m,
  ],
  [
    'what cannot be shown',
    { [file]: `throw Object.create(null);\n${body}` },
    /failed during import: something that cannot be shown \(\S+agent-bad\.js, or a file that it imports\)$/m,
  ],
  [
    'a mistake of syntax',
    { [file]: `${body}\nlet x = ;` },
    /failed during import: Unexpected token ';' \(\S+agent-bad\.js, or a file that it imports\)$/m,
  ],
  [
    'a mistake of syntax in a helper',
    { [file]: `import './lib/help.mjs';\n${body}`, 'extensions/lib/help.mjs': 'let x = ;' },
    /failed during import: Unexpected token ';' \(\S+agent-bad\.js, or a file that it imports\)$/m,
  ],
  [
    'an import in a package that is CommonJS',
    {
      'extensions/agent-bad/index.js': `import 'waggle-server';\n${body}`,
      'extensions/agent-bad/package.json': commonJs,
    },
    /agent-bad\/index\.js\): it is CommonJS, as \S+agent-bad\/package\.json says; write "type": "module" there, or call the file index\.mjs$/m,
  ],
  [
    'an export in a package that is CommonJS',
    { 'extensions/agent-bad/index.js': body, 'extensions/agent-bad/package.json': commonJs },
    /it is CommonJS, as \S+agent-bad\/package\.json says/,
  ],
  [
    'a file in a project that is CommonJS',
    { [file]: body, 'package.json': commonJs },
    /it is CommonJS, as \S+package\.json says; .* call the file agent-bad\.mjs$/m,
  ],
  [
    'an await in a package that is CommonJS',
    { [file]: 'await 1; module.exports = {};', 'package.json': commonJs },
    /it is CommonJS, as \S+package\.json says/,
  ],
  [
    'require of this package',
    { [file]: `module.exports = require('waggle-server').definePlugin({});`, 'package.json': commonJs },
    /it is CommonJS, as \S+package\.json says/,
  ],
];

describe('a plugin', () => {
  it.each(failures)('with %s ends the start with 1, and a word that names it', async (_, files, said) => {
    const config = { extensions: 'extensions', server: { pluginTimeoutMs: 500 } };
    const run = await runWaggle('start', { config, files });
    expect(await run.exited).toBe(1);
    expect(run.stderr + JSON.stringify(run.logs)).toMatch(/agent-bad/);
    expect(
      `${run.stderr}\n${run.logs.map(({ err }) => (err as Error | undefined)?.message).join('\n')}`,
    ).toMatch(said);
    expect(run.logs.some(({ msg }) => msg === 'started')).toBe(false);
  });

  it.each([
    ['sets an exit code', { [file]: `process.exitCode = 5;\n${body}` }],
    ['is CommonJS', { [file]: body.replace('export default', 'module.exports ='), 'package.json': commonJs }],
    [
      'was compiled to CommonJS',
      {
        [file]: body.replace('export default', 'exports.__esModule = true; exports.default ='),
        'package.json': commonJs,
      },
    ],
    [
      'is TypeScript in a project that is CommonJS',
      { 'extensions/agent-bad.ts': body, 'package.json': commonJs },
    ],
  ])('that %s is good', async (_, files) => {
    const run = await runWaggle('check', { config: { extensions: 'extensions' }, files });
    expect(await run.exited).toBe(0);
    expect(run.stdout).toContain('agent-bad');
  });

  it.each([['nonsense'], ['start', '--nonsense'], ['new', 'nonsense', 'x'], ['--version']])(
    'does not matter to `waggle %s`',
    async (command, ...args) => {
      const run = await runWaggle(command, { args, alone: true });
      expect(await run.exited).toBe(command === '--version' ? 0 : 1);
      expect(run.stderr).not.toMatch(/^\s+at /m);
    },
  );
});
