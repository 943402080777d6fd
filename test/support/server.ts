import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { type Command, type Running, runStanding } from './standing.js';
import { Waiters } from './waiters.js';

const cli = fileURLToPath(new URL('../../dist/kernel/cli.js', import.meta.url));
const boundMs = 30_000;

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

export interface CommandOptions {
  /** Laid over the default config: an object, or YAML as it stands. */
  readonly config?: object | string;
  readonly env?: Readonly<Record<string, string>>;
  /** Files beside the config file, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** A line of shell before it, such as `ulimit -n 96`. */
  readonly shell?: string;
  /** Whether it runs in a process that runs nothing else, before it or after it. */
  readonly alone?: boolean;
}

/** How a server is started. */
export interface ServerOptions extends CommandOptions {
  /** `uws` when absent; a config of text says so by itself. */
  readonly transport?: 'uws' | 'node';
}

/** A `waggle` command that runs in another process. */
export class WaggleProcess {
  readonly logs: LogLine[] = [];
  stderr = '';
  stdout = '';
  readonly exited: Promise<number | null>;
  readonly #process: Running;
  readonly #waiters = new Waiters();
  #hasEnded = false;

  constructor(process: Running, cleanUp: () => Promise<void>) {
    this.#process = process;
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    createInterface({ input: process.stdout }).on('line', (line) => {
      this.stdout += `${line}\n`;
      if (line.startsWith('{')) this.logs.push(JSON.parse(line));
      this.#waiters.check();
    });
    // A test that fails must not leave its server behind.
    const kill = () => process.kill('SIGKILL');
    globalThis.process.once('exit', kill);
    this.exited = process.exited.then(async (code) => {
      this.#hasEnded = true;
      globalThis.process.off('exit', kill);
      await cleanUp();
      this.#waiters.check();
      return code;
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves with the first log line that matches, now or later. */
  async untilLog(matches: (line: LogLine) => boolean): Promise<LogLine> {
    const all = () => `such a log line; stdout:\n${this.stdout}\nstderr:\n${this.stderr}`;
    const find = () => {
      const found = this.logs.find(matches);
      if (!found && this.#hasEnded) throw new Error(`ended without ${all()}`);
      return found;
    };
    return this.#waiters.until(find, boundMs, all);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Ends it and gives its exit code. */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.signal(name);
    return this.exited;
  }
}

/** Runs `waggle` with these arguments. */
export async function runWaggle(command: string, options: CommandOptions = {}): Promise<WaggleProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'waggle-'));
  for (const [name, text] of Object.entries(options.files ?? {})) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const args = [command, ...(options.args ?? [])];
  if (options.config !== undefined) {
    const file = join(folder, 'test.yaml');
    await writeFile(file, typeof options.config === 'string' ? options.config : stringify(options.config));
    args.push('--config', file);
  }
  const env = { PATH: process.env.PATH ?? '', HOST: '127.0.0.1', PORT: '0', ...options.env };
  // Node.js reads these when it starts.
  const isAlone =
    options.alone || options.shell || Object.keys(env).some((name) => /^(NODE|npm)_/.test(name));
  const run = isAlone ? runAlone : runStanding;
  const running = await run({ cwd: folder, env, args }, options.shell);
  return new WaggleProcess(running, () => rm(folder, { recursive: true, force: true }));
}

function runAlone({ cwd, env, args }: Command, shell = ':'): Running {
  const line = ['-c', `${shell}; exec "$@"`, 'sh', process.execPath, cli, ...args];
  const child = spawn('/bin/sh', line, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  return {
    pid: child.pid as number,
    stdout: child.stdout,
    stderr: child.stderr,
    exited: once(child, 'close').then(([code]) => code),
    kill: (signal) => void child.kill(signal),
  };
}

/** A server that has started, on a free port, with nothing of this machine's environment. */
export async function startServer({ transport, ...options }: ServerOptions = {}) {
  const server = await runWaggle('start', {
    ...options,
    ...(transport === 'node' && { config: overNode(options.config) }),
    // Nothing listens there: no model, unless a test brings one.
    env: { OLLAMA_HOST: 'http://127.0.0.1:9', ...options.env },
  });
  const { port } = await server.untilLog((line) => line.msg === 'listening');
  await server.untilLog((line) => line.msg === 'started');
  const host = `127.0.0.1:${port}`;
  return Object.assign(server, { port: port as number, url: `http://${host}`, ws: `ws://${host}/ws` });
}

/** The same config with `transport-node` in the place of the other one. */
function overNode(config: CommandOptions['config']): object {
  const { plugins = {}, ...rest } = (config ?? {}) as { readonly plugins?: Readonly<Record<string, object>> };
  return {
    ...rest,
    plugins: { ...plugins, 'transport-uws': { ...plugins['transport-uws'], use: 'transport-node' } },
  };
}

/** The plugins of the default config without all but these, which a start then need not load. */
export function only(...ids: readonly string[]): Readonly<Record<string, { readonly enabled: false }>> {
  const file = new URL('../../config/default.yaml', import.meta.url);
  const { plugins } = parse(readFileSync(file, 'utf8')) as { readonly plugins: object };
  const others = Object.keys(plugins).filter((id) => !ids.includes(id));
  return Object.fromEntries(others.map((id) => [id, { enabled: false }]));
}

export type RunningServer = Awaited<ReturnType<typeof startServer>>;
