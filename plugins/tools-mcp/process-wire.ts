import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import { settleWithin } from '#sdk';
import { Fault } from './fault.js';
import type { Packages } from './packages.js';
import type { Wire, WireEvents } from './wire.js';

/** A process to start, and how much it may write. */
export interface ProcessTarget {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  readonly messageLimitBytes: number;
  /** Time to end by itself, and again after SIGTERM. */
  readonly closeGraceMs: number;
}

/** A process group of its own ends as a whole: `npx` starts the server as a child. */
const hasGroups = process.platform !== 'win32';
/** Pipes that a process of another group has inherited are not waited for. */
const pipesMs = 500;

/** The standard input and output of a process, one message a line. */
export class ProcessWire implements Wire {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport['onmessage']>;
  /** With `pid`, the mark by which the package knows a process. */
  readonly stderr = null;
  readonly #target: ProcessTarget;
  readonly #packages: Packages;
  readonly #events: WireEvents;
  readonly #onErrorText: (text: string) => void;
  #child: ChildProcessWithoutNullStreams | undefined;
  #gone: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** How the process ended; undefined while it runs. */
  ended: string | undefined;

  constructor(
    target: ProcessTarget,
    packages: Packages,
    events: WireEvents,
    onErrorText: (text: string) => void,
  ) {
    this.#target = target;
    this.#packages = packages;
    this.#events = events;
    this.#onErrorText = onErrorText;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async start(): Promise<void> {
    const { command, args, env, cwd, messageLimitBytes } = this.#target;
    const child = spawn(command, args, {
      // Never all of this process: its environment holds keys of others.
      env: { ...this.#packages.stdio.getDefaultEnvironment(), ...env },
      ...(cwd !== undefined && { cwd }),
      stdio: 'pipe',
      detached: hasGroups,
      windowsHide: true,
    });
    const buffer = new this.#packages.client.ReadBuffer({ maxBufferSize: messageLimitBytes });
    child.stdout.on('data', (chunk: Buffer) => this.#read(buffer, chunk));
    child.stderr.setEncoding('utf8').on('data', this.#onErrorText);
    for (const stream of [child.stdin, child.stdout, child.stderr])
      stream.on('error', (error) => this.onerror?.(error));
    try {
      await once(child, 'spawn');
    } catch (error) {
      this.ended = 'it could not be started';
      const { code } = error as NodeJS.ErrnoException;
      throw new Fault('unsent', `its process could not be started (${code})`, { cause: error });
    }
    child.on('error', (error) => this.onerror?.(error));
    this.#child = child;
    this.#gone = this.#watch(child);
  }

  send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin;
    if (!stdin?.writable || this.ended !== undefined)
      return Promise.reject(new Fault('unsent', 'its process is not running'));
    return new Promise((resolve, reject) => {
      stdin.write(this.#packages.client.serializeMessage(message), (error) =>
        error ? reject(new Fault('lost', 'its process has ended', { cause: error })) : resolve(),
      );
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { closeGraceMs } = this.#target;
    if (!this.#gone) return this.onclose?.();
    this.#child?.stdin.end();
    if (await settleWithin(this.#gone, closeGraceMs)) return;
    this.#kill('SIGTERM');
    if (await settleWithin(this.#gone, closeGraceMs)) return;
    this.#kill('SIGKILL');
    await this.#gone;
  }

  /** Resolves when the process and its group are gone, and what they had written is read. */
  async #watch(child: ChildProcessWithoutNullStreams): Promise<void> {
    const closed = once(child, 'close');
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    this.ended = signal === null ? `its process ended with code ${code}` : `its process ended by ${signal}`;
    // What it had started itself would hold the pipes open.
    this.#kill('SIGKILL');
    if (!(await settleWithin(closed, pipesMs)))
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    this.#events.lost(this.ended);
    this.onclose?.();
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child ?? {};
    try {
      if (hasGroups && pid !== undefined) process.kill(-pid, signal);
      else this.#child?.kill(signal);
    } catch {
      // Nothing of it is left.
    }
  }

  #read(buffer: InstanceType<Packages['client']['ReadBuffer']>, chunk: Buffer): void {
    try {
      buffer.append(chunk);
    } catch {
      this.onerror?.(new Error(`it wrote a message of more than ${this.#target.messageLimitBytes} bytes`));
      this.#kill('SIGKILL');
      return;
    }
    for (;;)
      try {
        const message = buffer.readMessage();
        if (message === null) return;
        this.onmessage?.(this.#events.received(message));
      } catch (error) {
        this.onerror?.(error as Error);
      }
  }
}
