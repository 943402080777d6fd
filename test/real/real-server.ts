import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';

const folder = process.env.WAGGLE_REAL ?? '';
/** Of a process, in one of these a second. */
const ticksPerSecond = 100;

/** How a model server is started: what `up` in the folder of model servers is given. */
export interface RealServerOptions {
  readonly program: 'ollama' | 'llama-server';
  /** What follows the port. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A real model server, on a port that it keeps when it is started again. */
export class RealServer {
  readonly url: string;
  readonly #port: number;
  readonly #options: RealServerOptions;
  /** For the copies of models that it makes. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'real-'));
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(port: number, options: RealServerOptions) {
    this.url = `http://127.0.0.1:${port}`;
    this.#port = port;
    this.#options = options;
  }

  static async start(options: RealServerOptions): Promise<RealServer> {
    const server = new RealServer(await freePort(), options);
    await server.start();
    return server;
  }

  /** Starts it again, once it has ended. */
  async start(): Promise<void> {
    const { program, args = [], env } = this.#options;
    const child = spawn(join(folder, 'up'), [program, String(this.#port), ...args], {
      // With its runners in a group of its own, so that they end with it, however that ends.
      detached: true,
      // Its threads wait for each other by turning round: more than one on a busy machine are slower than one.
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '/tmp',
        LLAMA_ARG_THREADS: '1',
        TMPDIR: this.#folder,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-4000);
      });
    this.#process = child;
    process.once('exit', this.#kill);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`it ended:\n${this.#output}`);
      const { ok, status } = await fetch(`${this.url}${program === 'ollama' ? '/api/version' : '/health'}`);
      if (!ok) throw new Error(`status ${status}`);
    });
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true });
  }

  /** Ends it and its runners at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'close');
    process.off('exit', this.#kill);
    process.kill(-(child.pid as number), 'SIGKILL');
    await exited;
  }

  /** What works for it: the runners of Ollama, a llama-server itself. */
  get runners(): readonly number[] {
    const pid = this.#process?.pid;
    return this.#options.program === 'llama-server' ? [pid as number] : childrenOf(pid as number);
  }

  /** How long its runners have used a processor, in milliseconds. */
  get processorMs(): number {
    const ticks = this.runners.map((pid) => {
      const fields = statOf(pid);
      return Number(fields[11]) + Number(fields[12]);
    });
    return (ticks.reduce((sum, each) => sum + each, 0) * 1000) / ticksPerSecond;
  }

  /** Resolves with what its runners have used when they use no more. */
  restingMs(): Promise<number> {
    let before = Number.NaN;
    let since = performance.now();
    return eventually(() => {
      const now = this.processorMs;
      if (now !== before) since = performance.now();
      before = now;
      if (performance.now() - since < 300) throw new Error(`still at work: ${now} ms`);
      return now;
    });
  }

  readonly #kill = (): void => {
    if (this.#process?.pid) process.kill(-this.#process.pid, 'SIGKILL');
  };
}

function childrenOf(parent: number): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => Number(statOf(pid)[1]) === parent);
}

/** The fields behind the name of a process, from its state on (man 5 proc); none when it has ended. */
function statOf(pid: number): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}
