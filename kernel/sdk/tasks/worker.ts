import { AsyncLocalStorage } from 'node:async_hooks';
import type { MessagePort } from 'node:worker_threads';
import type { TaskCall, TaskFunction, TaskLogger, TaskUpdate } from '../../contracts/task.js';
import type { Boot, FromThread, Job, PlainError, ToThread } from './messages.js';

// Runs on a thread of tinypool. It imports only types from the kernel, so that threads start quickly.

const batchUpdates = 64;
const batchMs = 16;

/** Serves one port until it closes. */
export default function serve(boot: Boot): Promise<void> {
  new ThreadSide(boot);
  return new Promise((resolve) => boot.port.once('close', resolve));
}

class ThreadSide {
  readonly #port: MessagePort;
  readonly #boot: Boot;
  readonly #owner = new AsyncLocalStorage<Job>();
  #current: Work | undefined;

  constructor(boot: Boot) {
    this.#boot = boot;
    this.#port = boot.port;
    this.#port.on('message', (message: ToThread) => {
      if (message.type === 'stop') this.#current?.stop(message.seq);
      else void this.#owner.run(message, () => this.#perform(message));
    });
    const exit = process.exit;
    process.exit = (code = 0) => {
      this.#post({ type: 'exit', code: Number(code) });
      return exit.call(process, code);
    };
    const onError = (error: unknown) => {
      const owner = this.#owner.getStore();
      if (!this.#current || (owner && owner.seq !== this.#current.job.seq)) {
        this.#post({ type: 'stray', name: owner?.name ?? 'unknown', error: plain(error) });
        return;
      }
      // Its state is unknown from here on.
      this.#post({ type: 'crashed', error: plain(error) });
      exit.call(process, 1);
    };
    process.on('uncaughtException', onError);
    process.on('unhandledRejection', onError);
    this.#post({ type: 'ready' });
  }

  async #perform(job: Job): Promise<void> {
    const { seq } = job;
    const work = new Work(job, this.#boot, (message) => this.#post(message));
    this.#current = work;
    let phase: 'load' | 'run' | 'result' = 'load';
    try {
      const run = loaded.get(job.url) ?? (await load(job.url));
      phase = 'run';
      if (work.cancelled) throw new Error('it was stopped before it began');
      const output = await run(job.input, work);
      phase = 'result';
      work.flush();
      this.#post({ type: 'done', seq, output });
    } catch (error) {
      this.#post({ type: 'failed', seq, phase, error: plain(error) });
    } finally {
      work.end();
      if (this.#current === work) this.#current = undefined;
    }
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message);
  }
}

/** The running job, as its task sees it. */
class Work implements TaskCall {
  readonly job: Job;
  readonly #stopped: Int32Array;
  readonly #maxPartials: number;
  readonly #post: (message: FromThread) => void;
  /** Made on demand: most tasks never use their signal. */
  #abort: AbortController | undefined;
  #isStopped = false;
  #updates: TaskUpdate[] = [];
  #partials = 0;
  /** Long ago, so that the first update leaves at once, also from a task that never waits. */
  #flushedAt = Number.NEGATIVE_INFINITY;
  #scheduled: NodeJS.Immediate | undefined;
  #ended = false;

  constructor(job: Job, { stopped, maxPartials }: Boot, post: (message: FromThread) => void) {
    this.job = job;
    this.#stopped = stopped;
    this.#maxPartials = maxPartials;
    this.#post = post;
  }

  get logger(): TaskLogger {
    const log = (level: keyof TaskLogger) => (fields: object, message?: string) =>
      this.#post({ type: 'log', seq: this.job.seq, level, fields, message });
    return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  }

  get taskId(): string {
    return this.job.taskId;
  }

  get attempt(): number {
    return this.job.attempt;
  }

  get userId(): string | undefined {
    return this.job.userId;
  }

  get connection(): string | undefined {
    return this.job.connection;
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#isStopped) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  get cancelled(): boolean {
    return this.#isStopped || Atomics.load(this.#stopped, 0) === this.job.seq;
  }

  // Arrow functions, because tasks take them out of the call.
  readonly progress = (value: unknown): void => {
    // Only the newest progress counts.
    if (this.#updates.at(-1)?.type === 'progress') this.#updates.pop();
    this.#tell({ type: 'progress', value });
  };

  readonly partial = (value: unknown): void => {
    if (++this.#partials > this.#maxPartials)
      throw new Error(`it gave more than ${this.#maxPartials} partial results`);
    this.#tell({ type: 'partial', value });
  };

  stop(seq: number): void {
    if (seq !== this.job.seq) return;
    this.#isStopped = true;
    this.#abort?.abort();
  }

  flush(): void {
    if (this.#updates.length === 0) return;
    const updates = this.#updates;
    this.#updates = [];
    this.#flushedAt = performance.now();
    this.#post({ type: 'updates', seq: this.job.seq, updates });
  }

  end(): void {
    this.#ended = true;
    clearImmediate(this.#scheduled);
  }

  #tell(update: TaskUpdate): void {
    if (this.#ended) return;
    this.#updates.push(update);
    if (this.#updates.length >= batchUpdates || performance.now() - this.#flushedAt >= batchMs) this.flush();
    else
      this.#scheduled ??= setImmediate(() => {
        this.#scheduled = undefined;
        this.flush();
      });
  }
}

let hooks: Promise<unknown> | undefined;
// A cache, because with module hooks each `import` asks their thread.
const loaded = new Map<string, TaskFunction>();

async function load(url: string): Promise<TaskFunction> {
  // For tasks that are TypeScript or import this package. On demand, because it is slow and many threads never need it.
  hooks ??= import('#register');
  await hooks;
  const { default: run } = (await import(url)) as { readonly default?: unknown };
  if (typeof run !== 'function') throw new Error('its default export is not a function');
  loaded.set(url, run as TaskFunction);
  return run as TaskFunction;
}

/** A thrown value as plain data, which can be copied to another thread. */
function plain(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: text(error) };
  const { name, message, stack, code, details } = error as Error & {
    readonly code?: unknown;
    readonly details?: unknown;
  };
  const ours = name === 'WaggleError' && typeof code === 'string';
  return { name: String(name), message: String(message), stack, ...(ours && { code, details }) };
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'something that cannot be shown';
  }
}
