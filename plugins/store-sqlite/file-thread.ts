import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { WaggleError } from '#kernel';
import type { Call, ConversationFile, Method, Outcome } from './conversation-file.js';
import type { Report, WorkerSettings } from './worker.js';

// Resolved through the package: threads need compiled JavaScript even where this file runs as TypeScript.
const entry = createRequire(import.meta.url).resolve('#sqlite-worker');
const retryAfterMs = 1000;
/** The results of one list arrive in one turn of the event loop, so it must be short. */
const maxAtOnce = 64;

interface Waiting {
  readonly call: Call;
  readonly chars: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** How much may wait. */
interface QueueLimits {
  readonly queueLimit: number;
  readonly queueLimitChars: number;
}

/**
 * The thread that blocks on the disk, so that no stream does. Calls of one turn of the event loop, or made while the thread is
 * busy, go to it as one list and become one transaction.
 */
export class FileThread {
  readonly #worker: Worker;
  readonly #path: string;
  readonly #limits: QueueLimits;
  readonly #onTrouble: (trouble: string | undefined) => void;
  #waiting: Waiting[] = [];
  #running: readonly Waiting[] = [];
  #chars = 0;
  #scheduled: NodeJS.Immediate | undefined;
  #closed = false;
  #failure: WaggleError | undefined;
  #trouble: string | undefined;
  #onIdle: (() => void) | undefined;

  private constructor(
    worker: Worker,
    path: string,
    limits: QueueLimits,
    onTrouble: (trouble: string | undefined) => void,
  ) {
    this.#worker = worker;
    this.#path = path;
    this.#limits = limits;
    this.#onTrouble = onTrouble;
    worker.on('message', ({ outcomes, trouble }: Report) => {
      this.#report(trouble);
      if (outcomes) this.#resolveAll(outcomes);
    });
  }

  /**
   * Starts the thread, which opens the file. `onTrouble` gets the reason why nothing can be stored, and undefined when that
   * is over.
   * @throws STORE_UNUSABLE
   */
  static async open(
    settings: WorkerSettings & QueueLimits,
    onTrouble: (trouble: string | undefined) => void,
  ): Promise<FileThread> {
    const { path } = settings;
    const worker = new Worker(entry, { workerData: settings, execArgv: [] });
    const why = await new Promise<string | undefined>((resolve) => {
      worker.once('message', (answer: 'open' | { readonly why: string }) =>
        resolve(answer === 'open' ? undefined : answer.why),
      );
      worker.once('error', (error) => resolve(error.message));
    });
    if (why !== undefined) {
      await worker.terminate();
      throw new WaggleError('STORE_UNUSABLE', { path, why });
    }
    const thread = new FileThread(worker, path, settings, onTrouble);
    let reason = 'its thread has ended';
    worker.on('error', (error) => {
      reason = `its thread has crashed: ${error.message}`;
    });
    worker.once('exit', () => {
      if (thread.#closed) return;
      thread.#fail(reason);
      thread.#report(reason);
    });
    return thread;
  }

  /** Why nothing can be stored; undefined while all is well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Calls a method of the file. `chars` is the size of the call in the queue. @throws QUEUE_FULL, STORE_FAILED, SHUTTING_DOWN */
  ask<M extends Method>(
    method: M,
    chars: number,
    ...args: Parameters<ConversationFile[M]>
  ): Promise<ReturnType<ConversationFile[M]>> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(chars);
      if (refusal) return reject(refusal);
      this.#chars += chars;
      this.#waiting.push({ call: { method, args } as Call, chars, resolve, reject });
      if (this.#running.length === 0) this.#scheduled ??= setImmediate(() => this.#send());
    });
  }

  /** Refuses new calls, writes the waiting ones, closes the file and ends the thread. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      if (this.#waiting.length + this.#running.length === 0) resolve();
    });
    if (this.#failure) return;
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.postMessage('close');
    await exited;
  }

  /** Ends the thread at once; waiting calls are lost. */
  async terminate(): Promise<void> {
    this.#closed = true;
    this.#fail('its thread did not end in time');
    await this.#worker.terminate();
  }

  #report(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#onTrouble(trouble);
  }

  #refusal(chars: number): WaggleError | undefined {
    if (this.#failure) return this.#failure;
    if (this.#closed) return new WaggleError('SHUTTING_DOWN', {});
    const { queueLimit, queueLimitChars } = this.#limits;
    const waiting = this.#waiting.length + this.#running.length;
    // A call above the limit is accepted when no other waits.
    if (waiting < queueLimit && (waiting === 0 || this.#chars + chars <= queueLimitChars)) return undefined;
    return new WaggleError('QUEUE_FULL', {
      limit: queueLimit,
      what: 'reads and writes of conversations waiting',
      retryAfterMs,
    });
  }

  #send(): void {
    this.#scheduled = undefined;
    if (this.#failure || this.#waiting.length === 0) return;
    this.#running = this.#waiting.splice(0, maxAtOnce);
    this.#worker.postMessage(this.#running.map(({ call }) => call));
  }

  #resolveAll(outcomes: readonly Outcome[]): void {
    const settled = this.#running;
    this.#running = [];
    this.#send();
    for (const [index, outcome] of outcomes.entries()) {
      const { chars, resolve, reject } = settled[index] as Waiting;
      this.#chars -= chars;
      if ('why' in outcome) reject(new WaggleError('STORE_FAILED', { path: this.#path, why: outcome.why }));
      else resolve(outcome.value as never);
    }
    if (this.#waiting.length + this.#running.length === 0) this.#onIdle?.();
  }

  #fail(why: string): void {
    clearImmediate(this.#scheduled);
    this.#failure ??= new WaggleError('STORE_FAILED', { path: this.#path, why });
    for (const { reject } of [...this.#running, ...this.#waiting]) reject(this.#failure);
    this.#running = [];
    this.#waiting = [];
    this.#onIdle?.();
  }
}
