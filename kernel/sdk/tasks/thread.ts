import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Tinypool } from 'tinypool';
import { WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { FromThread, Job, PlainError } from './messages.js';
import type { Run } from './run.js';
import { bindingsOf } from './turn.js';

/** Time for the reason of a thread's end to arrive after the end itself. */
const reasonWaitMs = 500;

/** The lane of a thread. */
export interface ThreadEvents {
  idle(thread: Thread): void;
  /** It has ended; without a reason when it was replaced on purpose. */
  lost(thread: Thread, reason: string | undefined): void;
  /** It could not load this module. */
  unloadable(url: string, error: Error): void;
}

interface Assignment {
  readonly seq: number;
  readonly url: string;
  readonly run: Run;
  resolve(output: unknown): void;
  reject(error: unknown): void;
}

/**
 * One thread of tinypool, held by one call for as long as it lives. Jobs go over a separate port, so that every end of a
 * thread is noticed, and costs at most the one job that it had.
 */
export class Thread {
  readonly #port: MessagePort;
  readonly #stopped = new Int32Array(new SharedArrayBuffer(4));
  /** Aborting makes tinypool end the thread and start another one. */
  readonly #slot = new AbortController();
  readonly #logger: Logger;
  readonly #events: ThreadEvents;
  readonly #loaded = new Set<string>();
  readonly #graceMs: number;
  #seq = 0;
  #job: Assignment | undefined;
  #grace: NodeJS.Timeout | undefined;
  #reason: NodeJS.Timeout | undefined;
  #lost = false;
  /** A module that it has loaded is out of date, or broken. */
  #stale = false;
  ready = false;

  constructor(
    pool: Tinypool,
    settings: { readonly maxPartials: number; readonly cancelGraceMs: number },
    logger: Logger,
    events: ThreadEvents,
  ) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#graceMs = settings.cancelGraceMs;
    this.#logger = logger;
    this.#events = events;
    port1.on('message', (message: FromThread) => this.#receive(message));
    port1.on('close', () => {
      if (this.#lost) return;
      // tinypool notices some ends and says why, but not all, and perhaps later.
      this.#reason = setTimeout(() => this.#end('its thread ended', 'TASK_CRASHED'), reasonWaitMs);
    });
    const boot = { port: port2, stopped: this.#stopped, maxPartials: settings.maxPartials };
    pool.run(boot, { transferList: [port2], signal: this.#slot.signal }).then(
      () => this.#end('its thread ended', 'TASK_CRASHED'),
      (error: Error & { readonly code?: string }) => {
        const outOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
        this.#end(error.message, outOfMemory ? 'TASK_OUT_OF_MEMORY' : 'TASK_CRASHED', error);
      },
    );
  }

  get busy(): boolean {
    return this.#job !== undefined;
  }

  hasLoaded(url: string): boolean {
    return this.#loaded.has(url);
  }

  /** Runs one job. Called only while it is idle. */
  perform(run: Run, url: string, input: unknown): Promise<unknown> {
    const seq = ++this.#seq;
    const { id: taskId, name, attempts: attempt, userId, options } = run;
    const { connection } = options;
    const job: Job = { type: 'run', seq, url, taskId, name, attempt, userId, connection, input };
    return new Promise((resolve, reject) => {
      this.#job = { seq, url, run, resolve, reject };
      this.#loaded.add(url);
      try {
        this.#port.postMessage(job);
      } catch (cause) {
        this.#fail(failed(run, 'its input cannot be copied to a thread', cause));
      }
    });
  }

  /** Asks the job to stop; after the grace period the thread is ended. */
  stop(): void {
    const job = this.#job;
    if (!job || this.#grace) return;
    Atomics.store(this.#stopped, 0, job.seq);
    this.#port.postMessage({ type: 'stop', seq: job.seq });
    this.#grace = setTimeout(
      () => this.#end(`"${job.run.name}" did not stop`, 'TASK_CRASHED'),
      this.#graceMs,
    );
  }

  /** Makes room for a fresh one: at once, or when its job has ended. */
  retire(): void {
    this.#stale = true;
    if (!this.#job) this.#leave(undefined);
  }

  /** Ends it without a successor. */
  close(): void {
    this.#lost = true;
    clearTimeout(this.#grace);
    clearTimeout(this.#reason);
    this.#port.close();
  }

  #receive(message: FromThread): void {
    switch (message.type) {
      case 'ready':
        this.ready = true;
        this.#events.idle(this);
        return;
      case 'exit':
        this.#end(`it called process.exit(${message.code})`, 'TASK_CRASHED');
        return;
      case 'crashed':
        this.#end('an error that nobody caught', 'TASK_CRASHED', errorOf(message.error));
        return;
      case 'stray':
        this.#logger.warn(
          { err: errorOf(message.error), task: message.name },
          'an error that nobody caught, of a task that had ended',
        );
        return;
    }
    const job = this.#job;
    if (message.seq !== job?.seq) return;
    switch (message.type) {
      case 'updates':
        job.run.tells(message.updates);
        return;
      case 'log': {
        const { level, fields, message: text } = message;
        this.#logger[level]({ ...fields, ...bindingsOf(job.run) }, text);
        return;
      }
      case 'done':
        this.#release();
        job.resolve(message.output);
        return;
      case 'failed':
        this.#failed(job, message.phase, errorOf(message.error));
    }
  }

  #failed(job: Assignment, phase: 'load' | 'run' | 'result', error: Error): void {
    if (phase === 'load') {
      const cause = failed(job.run, 'its module cannot be loaded', error);
      this.#events.unloadable(job.url, cause);
      // Node remembers the failure for as long as the thread lives.
      this.#stale = true;
      this.#fail(cause);
    } else if (phase === 'result') this.#fail(failed(job.run, 'its result cannot be copied', error));
    else this.#fail(error);
  }

  #fail(error: unknown): void {
    const job = this.#job;
    this.#release();
    job?.reject(error);
  }

  /** The job is over. */
  #release(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#job = undefined;
    if (this.#stale) this.retire();
    else this.#events.idle(this);
  }

  #end(why: string, code: 'TASK_CRASHED' | 'TASK_OUT_OF_MEMORY', cause?: Error): void {
    if (this.#lost) return;
    const job = this.#job;
    this.#job = undefined;
    this.#leave(why);
    if (!job) return;
    const task = job.run.name;
    const options = cause && { cause };
    job.reject(
      code === 'TASK_CRASHED'
        ? new WaggleError(code, { task, why }, options)
        : new WaggleError(code, { task }, options),
    );
  }

  #leave(reason: string | undefined): void {
    this.close();
    this.#slot.abort();
    this.#events.lost(this, reason);
  }
}

function failed(run: Run, why: string, cause: unknown): WaggleError {
  return new WaggleError('TASK_FAILED', { task: run.name, why }, { cause });
}

/** Errors of the catalogue are recognised by name and code, whatever their class. */
function errorOf({ name, message, stack, code, details }: PlainError): Error {
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code, details });
}
