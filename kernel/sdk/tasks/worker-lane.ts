import { createRequire } from 'node:module';
import { Tinypool } from 'tinypool';
import type { TaskDefinition } from '../../contracts/task.js';
import type { Logger } from '../../logger.js';
import { settleWithin } from '../settle-within.js';
import type { Attempt, Lane } from './lane.js';
import { moduleUrl } from './module-url.js';
import type { Run } from './run.js';
import { Thread } from './thread.js';

// Found by package: threads need compiled JavaScript also where this file runs as it is.
const entry = createRequire(import.meta.url).resolve('#task-worker');
/** Time before a broken module is loaded again, so that a flood of its runs does not cost a thread each. */
const unloadableMs = 1000;
/** Back-off after threads that do not start; doubles up to the limit. */
const bootDelayMs = { first: 100, last: 10_000 } as const;
const closeTimeoutMs = 2000;

interface Settings {
  readonly workers: number;
  readonly maxPartials: number;
  readonly cancelGraceMs: number;
  readonly workerMemoryMb: number;
}

/** The engine, as its lane sees it. */
export interface WorkerLaneEvents {
  free(): void;
  lost(reason: string): void;
}

/** Threads of tinypool, one job at a time each. A lost thread is replaced. */
export class WorkerLane implements Lane {
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #events: WorkerLaneEvents;
  #pool: Tinypool | undefined;
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = [];
  readonly #urls = new Map<TaskDefinition, string>();
  readonly #unloadable = new Map<string, { readonly error: Error; readonly until: number }>();
  readonly #delays = new Set<NodeJS.Timeout>();
  #isOpen = false;
  #bootFailures = 0;
  #lost = 0;
  #closed = false;

  constructor(settings: Settings, logger: Logger, events: WorkerLaneEvents) {
    this.#settings = settings;
    this.#logger = logger;
    this.#events = events;
  }

  /** Lets the threads start, once a task needs them. Until then everything waits. */
  open(): void {
    this.#isOpen = true;
    if (this.#urls.size > 0) this.#startThreads();
  }

  #startThreads(): void {
    const { workers, workerMemoryMb: maxOldGenerationSizeMb } = this.#settings;
    // No queue, no time-outs and no signals of its own: each of them breaks it (tinypool 2.2).
    this.#pool = new Tinypool({
      filename: entry,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: 1,
      useAtomics: false,
      resourceLimits: { maxOldGenerationSizeMb },
    });
    this.#pool.on('error', (err: unknown) =>
      this.#logger.error({ err }, 'a thread failed outside of any task'),
    );
    for (let count = 0; count < workers; count++) this.#add(this.#pool);
  }

  get free(): number {
    return this.#idle.length;
  }

  get stats(): { readonly alive: number; readonly busy: number; readonly lost: number } {
    const threads = [...this.#threads];
    const alive = threads.filter(({ ready }) => ready).length;
    return { alive, busy: threads.filter(({ busy }) => busy).length, lost: this.#lost };
  }

  accept(definition: TaskDefinition): void {
    if (definition.lane !== 'worker') return;
    this.#urls.set(definition, moduleUrl(definition.module).href);
    if (this.#isOpen && !this.#closed && !this.#pool) this.#startThreads();
  }

  start(run: Run, input: unknown): Attempt {
    const url = this.#urls.get(run.kind.definition) as string;
    const broken = this.#unloadable.get(url);
    if (broken && performance.now() < broken.until)
      return { done: Promise.reject(broken.error), stop: () => {} };
    this.#unloadable.delete(url);
    const thread = this.#idle.pop() as Thread;
    return { done: thread.perform(run, url, input), stop: () => thread.stop() };
  }

  /** Replaces the threads that have loaded the code of a stopped plugin. */
  async forget(definition: TaskDefinition): Promise<void> {
    const url = this.#urls.get(definition);
    if (url === undefined) return;
    this.#urls.delete(definition);
    this.#unloadable.delete(url);
    for (const thread of [...this.#threads]) if (thread.hasLoaded(url)) thread.retire();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const delay of this.#delays) clearTimeout(delay);
    for (const thread of this.#threads) thread.close();
    this.#threads.clear();
    this.#idle.length = 0;
    // tinypool waits for ever for a thread that has ended already.
    if (this.#pool) await settleWithin(this.#pool.destroy(), closeTimeoutMs);
  }

  #add(pool: Tinypool): void {
    const thread = new Thread(pool, this.#settings, this.#logger, {
      idle: (each) => {
        this.#bootFailures = 0;
        this.#idle.push(each);
        this.#events.free();
      },
      lost: (each, reason) => this.#replace(pool, each, reason),
      unloadable: (url, error) =>
        this.#unloadable.set(url, { error, until: performance.now() + unloadableMs }),
    });
    this.#threads.add(thread);
  }

  #replace(pool: Tinypool, thread: Thread, reason: string | undefined): void {
    this.#threads.delete(thread);
    const at = this.#idle.indexOf(thread);
    if (at !== -1) this.#idle.splice(at, 1);
    if (this.#closed) return;
    if (reason !== undefined) {
      this.#lost++;
      this.#logger.warn({ reason }, 'a thread was lost; another one takes its place');
      this.#events.lost(reason);
    }
    if (thread.ready) {
      this.#add(pool);
      return;
    }
    const { first, last } = bootDelayMs;
    const delay = setTimeout(
      () => {
        this.#delays.delete(delay);
        this.#add(pool);
      },
      Math.min(last, first * 2 ** this.#bootFailures++),
    );
    this.#delays.add(delay);
  }
}
