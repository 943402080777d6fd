import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type CommandOptions, runWaggle, startServer } from '../support/server.js';

const plugin = (name: string, rest: string) => `export default { name: '${name}', apiVersion: 1, ${rest} };`;

/** Runs a command that has to fail by itself. */
async function fails(command: string, options: CommandOptions) {
  const run = await runWaggle(command, options);
  const code = await run.exited;
  return { code, lines: run.stderr.trimEnd().split('\n'), stdout: run.stdout, logs: run.logs };
}

const mistakes: readonly (readonly [string, CommandOptions, RegExp])[] = [
  ['where YAML is broken', { config: 'plugins: [1,\n  x: }' }, /^test\.yaml:\d+:\d+: /],
  ['which file is missing', { args: ['--config', 'nowhere.yaml'] }, /nowhere\.yaml: no such file$/],
  ...['prod', 'nowhere', '../config/production', 'default', 'production.yaml'].map(
    (profile): [string, CommandOptions, RegExp] => [
      `which profiles there are, and not "${profile}"`,
      { args: ['--profile', profile] },
      /^--profile: no profile is called "[^"]+" \(there are: cluster, development, production\); --config takes a file$/,
    ],
  ),
  [
    'which profiles there are here, too',
    { args: ['--profile', 'prod'], files: { 'config/mine.yaml': '' } },
    /\(there are: cluster, development, mine, production\)/,
  ],
  [
    'that the profile is that of the environment',
    { env: { WAGGLE_PROFILE: 'prod' } },
    /^WAGGLE_PROFILE: no profile is called "prod" \(there are: cluster, development, production\)/,
  ],
  [
    'which variable is wrong',
    { env: { PORT: '80a' } },
    /^PORT: default\.yaml: transport-uws\.port: expected/,
  ],
  [
    'which level is none',
    { env: { LOG_LEVEL: 'loud' } },
    /^LOG_LEVEL: default\.yaml: server\.logLevel: expected/,
  ],
  [
    'which URL is none',
    { env: { OLLAMA_HOST: 'ftp://x' } },
    /^OLLAMA_HOST: default\.yaml: agent-ollama\.baseUrl: expected an http or https URL/,
  ],
  [
    'which origin of the environment never matches',
    {
      config: { plugins: { 'transport-uws': { config: { allowedOrigins: ['${ORIGIN}'] } } } },
      env: { ORIGIN: 'chat.example.com' },
    },
    /^ORIGIN: test\.yaml: transport-uws\.allowedOrigins\.0: never matches/,
  ],
  [
    'which key is unknown, and which one was meant',
    { config: { plugins: { 'transport-uws': { config: { prot: 1 } } } } },
    /^test\.yaml: transport-uws\.prot: unknown key, did you mean "port"\?$/,
  ],
  [
    'which type is wrong',
    { config: { plugins: { 'transport-uws': { config: { port: '80a' } } } } },
    /^test\.yaml: transport-uws\.port: expected integer 0-65535, got string "80a"$/,
  ],
  [
    'which number would end the native code',
    { config: { plugins: { 'transport-uws': { config: { idleTimeoutS: 5 } } } } },
    /^test\.yaml: transport-uws\.idleTimeoutS: expected integer 8-960, got number 5$/,
  ],
  [
    'which variable is missing',
    { config: { plugins: { 'agent-ollama': { config: { model: '${MODEL_OF_MINE}' } } } } },
    /^MODEL_OF_MINE: test\.yaml: agent-ollama\.model: the environment variable MODEL_OF_MINE is not set$/,
  ],
  [
    'which plugin is unknown',
    { config: { plugins: { 'agent-elisa': {} } } },
    /^test\.yaml: agent-elisa: no built-in plugin or npm package is called "agent-elisa", did you mean "agent-eliza"\?$/,
  ],
  [
    'which file is no plugin',
    { config: { plugins: { mine: { use: './mine.js' } } }, files: { 'mine.js': 'export default 1;' } },
    /mine.*not a plugin/,
  ],
  [
    'what requires each other',
    {
      config: { plugins: { a: { use: './a.js' }, b: { use: './b.js' } } },
      files: {
        'a.js': plugin('a', `requires: { b: Symbol.for('b') }, provides: [Symbol.for('a')], setup() {}`),
        'b.js': plugin('b', `requires: { a: Symbol.for('a') }, provides: [Symbol.for('b')], setup() {}`),
      },
    },
    /a -> b -> a/,
  ],
  [
    'what nobody provides',
    {
      config: { plugins: { a: { use: './a.js' } } },
      files: { 'a.js': plugin('a', `requires: { b: Symbol.for('moon') }, setup() {}`) },
    },
    /"a" requires moon/,
  ],
  [
    'which two provide the same',
    { config: { plugins: { second: { use: 'store-memory' } } } },
    /"second" cannot provide conversations: "store-memory" already does/,
  ],
  [
    'which specifier is refused',
    { config: { plugins: { evil: { use: 'data:text/javascript,export default 1' } } } },
    /evil.*refused/,
  ],
];

// The two read a configuration by the same code: of the second one, a few rows in `npm test`.
describe.each(['start', 'check'])('waggle %s with a bad configuration ends with 78 and says', (command) => {
  it.each(command === 'start' ? mistakes : mistakes.slice(0, 6))('%s', async (_, options, line) => {
    const { code, lines, stdout } = await fails(command, options);
    expect(code).toBe(78);
    expect(lines.filter((each) => line.test(each))).toHaveLength(1);
    expect(stdout).not.toContain('listening');
    expect(lines.join('\n')).not.toMatch(/^\s+at /m);
  });

  it('all issues at once, one line each', async () => {
    const { code, lines } = await fails(command, {
      config: {
        server: { logLevel: 'loud' },
        plugins: {
          'transport-uws': { config: { port: 70000, prot: 1 } },
          'agent-elisa': {},
          'agent-ollama': {
            config: {
              model: '${MODEL_OF_MINE}',
              connectTimeoutMs: 'soon',
              tokenTimeoutMs: '${TIMEOUT_OF_MINE}',
            },
          },
        },
        plugin: {},
      },
    });
    expect(code).toBe(78);
    // Each once: a variable that is not set makes no second mistake where a number is asked for.
    for (const part of [
      'server.logLevel',
      'transport-uws.port',
      'transport-uws.prot',
      'agent-elisa',
      'MODEL_OF_MINE',
      'tokenTimeoutMs',
      'connectTimeoutMs',
      'plugin: unknown key',
    ])
      expect(lines.filter((line) => line.includes(part))).toHaveLength(1);
    expect(lines).toHaveLength(8);
  });

  it('no secret', async () => {
    const { lines, stdout } = await fails(command, {
      config: {
        plugins: {
          'agent-ollama': { config: { baseUrl: 'http://me:hunter2@host', connectTimeoutMs: '${TIMEOUT}' } },
        },
      },
      env: { TIMEOUT: 's3cret' },
    });
    expect(lines).toHaveLength(2);
    expect(lines.join() + stdout).not.toMatch(/hunter2|s3cret/);
  });
});

describe('waggle check', () => {
  it('prints the plugins in start order and starts nothing', async () => {
    const run = await runWaggle('check');
    expect(await run.exited).toBe(0);
    const order = run.stdout.split('\n').map((line) => line.trim().split(/\s+/)[1]);
    expect(order.indexOf('transport-uws')).toBeLessThan(order.indexOf('endpoint-ws'));
    expect(order.indexOf('streams-memory')).toBeLessThan(order.indexOf('endpoint-ws'));
    expect(run.stdout).toContain('The configuration is good.');
    expect(run.stdout).not.toContain('listening');
  });
});

describe('a port that is taken', () => {
  it('ends the second server with 1 and a clear word, and leaves the first one alone', async () => {
    const first = await startServer();
    const { code, lines, logs } = await fails('start', { env: { PORT: String(first.port) } });
    expect(code).toBe(1);
    expect(lines.join()).toContain(`EADDRINUSE 127.0.0.1:${first.port}`);
    expect(logs.at(-1)?.msg).toBe('the server did not start');
    for (let request = 0; request < 100; request++)
      expect((await fetch(`${first.url}/health`)).status).toBe(200);
    expect(await first.stop()).toBe(0);
  });

  it('is recognised when another program has it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    const { code, lines } = await fails('start', { env: { PORT: String(port) } });
    expect(code).toBe(1);
    expect(lines.join()).toContain(`EADDRINUSE 127.0.0.1:${port}`);
    await new Promise((resolve) => other.close(resolve));
  });

  it('is told apart from a host that does not exist', async () => {
    const { code, lines } = await fails('start', { env: { HOST: 'no-such-host.invalid' } });
    expect(code).toBe(1);
    expect(lines.join()).toMatch(/cannot listen on no-such-host\.invalid/);
  });
});
