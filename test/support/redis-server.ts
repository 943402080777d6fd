import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '@redis/client';
import { freePort } from './free-port.js';
import { programPath } from './program-path.js';

export interface RedisServerOptions {
  /** Whether it listens on a port of loopback, too. */
  readonly withPort?: boolean;
  /** Lines of its config file. */
  readonly config?: readonly string[];
  /** User and password of the commands of tests. */
  readonly login?: { readonly username?: string; readonly password: string };
}

/** A real `redis-server` in a folder of its own, with an append-only file, that a test may kill, freeze and start again. */
export class RedisServer {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'waggle-redis-')));
  readonly socketPath = join(this.folder, 'socket');
  readonly url = `unix:${this.socketPath}`;
  readonly port: number;
  readonly #options: RedisServerOptions;
  #process: ChildProcess | undefined;

  private constructor(port: number, options: RedisServerOptions) {
    this.port = port;
    this.#options = options;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(options.withPort ? await freePort() : 0, options);
    await server.run();
    return server;
  }

  /** Starts it, with the data of its folder. */
  async run(): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--unixsocket', this.socketPath];
    const data = ['--dir', this.folder, '--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];
    const more = (this.#options.config ?? []).flatMap((line) => {
      const [key = '', ...values] = line.split(' ');
      return [`--${key}`, ...values];
    });
    const child = spawn(programPath('redis-server') ?? 'redis-server', [...args, ...data, ...more], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process = child;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    let output = '';
    for await (const line of createInterface({ input: child.stdout })) {
      output += `${line}\n`;
      if (!line.includes('The server is now ready to accept connections at')) continue;
      child.stdout.resume();
      return;
    }
    throw new Error(`redis-server does not start:\n${output}`);
  }

  /** Runs one command, such as `CONFIG SET maxmemory 0`. */
  async command<T = unknown>(...args: readonly string[]): Promise<T> {
    const client = createClient({ socket: { path: this.socketPath, tls: false }, ...this.#options.login });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.sendCommand(args)) as T;
    } finally {
      client.destroy();
    }
  }

  /** SIGSTOP and SIGCONT freeze it and let it go on; SIGKILL ends it. */
  async signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(name);
    if (name === 'SIGKILL') await once(child, 'exit');
  }

  async stop(): Promise<void> {
    await this.signal('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
