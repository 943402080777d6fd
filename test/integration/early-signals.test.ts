import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { tempFolder } from '../support/kernel.js';
import { only } from '../support/server.js';
import { isThorough } from '../support/thorough.js';

const cli = fileURLToPath(new URL('../../dist/kernel/cli.js', import.meta.url));
const says = fileURLToPath(new URL('../fixtures/signals/says-when.mjs', import.meta.url));

const namespace = ['unshare', '--pid', '--fork', '--mount-proc'];
const [command = '', ...args] = namespace;
/** Where this machine does not allow it, every row runs as any other process. */
const mayBeFirst = spawnSync(command, [...args, 'true']).status === 0;

/** A plugin that does this; `say(moment)` tells the test. */
const plugin = (body: string) =>
  `const say = (moment) => process.stdout.write(\`moment \${moment}\\n\`);
const hang = () => new Promise(() => {});
${body}`;
const named = (more: string) => `export default { name: 'slow', apiVersion: 1, ${more} };`;
const imports = plugin(`say('import');\nawait hang();\n${named('setup() {}')}`);
const setsUp = plugin(named(`setup() { say('setup'); return hang(); }`));
const getsReady = plugin(named(`setup(ctx) { ctx.onReady(() => { say('ready'); return hang(); }); }`));
const stops = plugin(
  named(
    `setup(ctx) { ctx.effect('x', () => () => { say('stop'); return hang(); }); ctx.onReady(() => say('up')); }`,
  ),
);

/** Who needs to load less is sooner where the signal comes. */
const few = only('transport-uws', 'endpoint-health');

interface Server {
  /** Resolves when it says so. */
  until(moment: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Writes the plugin anew. */
  change(code: string): void;
  readonly exited: Promise<number | null>;
  readonly log: () => string;
}

function start(code: string, isFirst: boolean, { watch = false, whole = false } = {}): Server {
  const folder = tempFolder();
  folder.write('slow.js', code);
  const config = folder.write(
    'test.yaml',
    stringify({
      server: { pluginTimeoutMs: 20_000 },
      plugins: { ...(whole ? {} : few), slow: { use: './slow.js' } },
    }),
  );
  const line = ['--import', says, cli, 'start', ...(watch ? ['--watch'] : []), '--config', config];
  const [program = '', ...rest] = [...(isFirst && mayBeFirst ? namespace : []), process.execPath, ...line];
  const child = spawn(program, rest, {
    cwd: folder.path,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', OLLAMA_HOST: 'http://127.0.0.1:9' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = () => {
    if (program === process.execPath) return child.pid as number;
    const below = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
    // Where there is none yet this is 0, which stands for all processes of this test.
    return Number(below) || (child.pid as number);
  };
  const moments = new Set<string>();
  const waiting = new Map<string, () => void>();
  let log = '';
  createInterface({ input: child.stdout }).on('line', (text) => {
    log += `${text}\n`;
    const moment = text.startsWith('moment ') ? text.slice(7) : text.startsWith('{') && JSON.parse(text).msg;
    moments.add(moment);
    waiting.get(moment)?.();
  });
  child.stderr.on('data', (text) => {
    log += text;
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const kill = (signal: NodeJS.Signals) => void process.kill(pid(), signal);
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      kill('SIGKILL');
      await exited;
    }
  });
  return {
    until: (moment) =>
      new Promise((resolve, reject) => {
        waiting.set(moment, resolve);
        if (moments.has(moment)) resolve();
        void exited.then(() => reject(new Error(`ended before "${moment}":\n${log}`)));
      }),
    kill,
    change: (changed) => void folder.write('slow.js', changed),
    exited,
    log: () => log,
  };
}

const rows: readonly [when: string, code: string, moment: string][] = [
  ['before anything of it was loaded', setsUp, 'handlers'],
  ['while its parts are loaded', setsUp, 'loading'],
  ['while a plugin is imported', imports, 'import'],
  ['during a setup', setsUp, 'setup'],
  ['while a plugin gets ready', getsReady, 'ready'],
  ['once it has started', plugin(named('setup() {}')), 'started'],
];

describe.each([
  ['as any process', false],
  ['as the first of its namespace', true],
])('a signal to a server %s', (_, isFirst) => {
  // Of each two signals one comes here and the other one there.
  const signalled = rows.flatMap((row, at) =>
    (['SIGTERM', 'SIGINT'] as const)
      .filter((_, place) => isThorough || place === (at + Number(isFirst)) % 2)
      .map((signal) => [...row, signal] as const),
  );
  it.each(signalled)('%s ends it with 0', async (_, code, moment, signal) => {
    const server = start(code, isFirst);
    await server.until(moment);
    server.kill(signal);
    expect(await server.exited, server.log()).toBe(0);
  });

  it('twice while a plugin does not stop ends it with 130', async () => {
    const server = start(stops, isFirst);
    await server.until('started');
    server.kill('SIGTERM');
    await server.until('stop');
    server.kill('SIGINT');
    expect(await server.exited).toBe(130);
  });

  const changes: readonly [when: string, changed: string, moment: string][] = [
    ['nothing changes', plugin(named('setup() {}')), 'started'],
    ['a changed plugin is imported', imports, 'import'],
    ['a changed plugin is set up', setsUp, 'setup'],
  ];
  it.each(isThorough || !isFirst ? changes : changes.slice(-1))(
    'in watch mode ends it with 0 while %s',
    async (_, changed, moment) => {
      const server = start(plugin(named('setup() {}')), isFirst, { watch: true });
      await server.until('started');
      server.change(changed);
      await server.until(moment);
      server.kill('SIGTERM');
      expect(await server.exited, server.log()).toBe(0);
    },
  );
});

it('is heard long before the server is up', async () => {
  const server = start(plugin(named('setup() {}')), false, { whole: true });
  const startedAt = performance.now();
  await server.until('handlers');
  const heardMs = performance.now() - startedAt;
  await server.until('started');
  const upMs = performance.now() - startedAt;
  server.kill('SIGTERM');
  await server.exited;
  expect(heardMs).toBeLessThan(upMs / 2);
});
