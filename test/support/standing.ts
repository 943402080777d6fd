import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../fixtures/standing.mjs', import.meta.url));

/** A command that runs in a process. */
export interface Running {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its exit code, once it has ended and all that it wrote was read; null where a signal ended it. */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

/** What is run, and where. */
export interface Command {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

const idle: Standing[] = [];

/** Runs a command in a process that has run others before, or will. */
export async function runStanding(command: Command): Promise<Running> {
  const standing = idle.pop() ?? (await Standing.start());
  return standing.run(command);
}

/** A process that runs commands one after another: see `fixtures/standing.mjs`. It ends with this process. */
class Standing {
  readonly #process: ChildProcess;
  readonly #closed: Promise<number | null>;

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.#closed = once(child, 'close').then(([code]) => {
      const place = idle.indexOf(this);
      if (place !== -1) idle.splice(place, 1);
      return code;
    });
  }

  static async start(): Promise<Standing> {
    const child = spawn(process.execPath, [program], {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    await once(child, 'message');
    return new Standing(child);
  }

  run(command: Command): Running {
    this.#hold(true);
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const ends = [this.#read(this.#process.stdout, stdout), this.#read(this.#process.stderr, stderr)];
    const ended = Promise.all(ends).then(([code]) => {
      this.#hold(false);
      idle.push(this);
      return Number(code);
    });
    const died = this.#closed.then((code) => {
      for (const output of [stdout, stderr]) output.end();
      return code;
    });
    this.#process.send(command);
    return {
      pid: this.#process.pid as number,
      stdout,
      stderr,
      exited: Promise.race([ended, died]),
      kill: (signal) => void this.#process.kill(signal),
    };
  }

  /** Passes on what the command writes; resolves with what stands at the end of it. */
  #read(from: Readable | null, to: PassThrough): Promise<string> {
    return new Promise((resolve) => {
      let end: Buffer | undefined;
      const onData = (data: Buffer) => {
        const at = end ? 0 : data.indexOf(0);
        if (at === -1) return void to.write(data);
        to.write(data.subarray(0, at));
        end = Buffer.concat([end ?? Buffer.alloc(0), data.subarray(at)]);
        if (end.at(-1) !== 10) return;
        from?.off('data', onData);
        to.end();
        to.once('end', () => resolve(String(end).slice(1)));
      };
      from?.on('data', onData);
    });
  }

  /** Whether it keeps this process alive. */
  #hold(isHeld: boolean): void {
    const { channel, stdout, stderr } = this.#process;
    for (const each of [this.#process, channel, stdout as Socket, stderr as Socket])
      if (isHeld) each?.ref();
      else each?.unref();
  }
}
