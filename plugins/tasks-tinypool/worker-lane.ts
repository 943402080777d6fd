import { createRequire } from 'node:module';
import { Tinypool } from 'tinypool';
import type { Logger, TaskDefinition } from '#kernel';
import type { Attempt, Lane } from './lane.js';
import { moduleUrl } from './module-url.js';
import type { Run } from './run.js';
import { Thread } from './thread.js';

// Found by package: threads need compiled JavaScript also where this file runs as it is.
const entry = createRequire(import.meta.url).resolve('#task-worker');
/** A module that could not be loaded is not tried again before that, so that a flood of it does not cost a thread each. */
const unloadableMs = 1000;
/** How long threads that do not come up wait before the next try; it doubles up to the limit. */
const bootDelayMs = { first: 100, last: 10_000 } as const;
const closeTimeoutMs = 2000;

interface Settings {
  readonly workers: number;
  readonly maxPartials: number;
  readonly cancelGraceMs: number;
  readonly workerMemoryMb: number;
}

/** What a lane tells the engine. */
export interface WorkerLaneEvents {
  free(): void;
  lost(reason: string): void;
}

/** Threads of tinypool, one job at a time each. A thread that was lost is replaced. */
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
  #bootFailures = 0;
  #lost = 0;
  #closed = false;

  constructor(settings: Settings, logger: Logger, events: WorkerLaneEvents) {
    this.#settings = settings;
    this.#logger = logger;
    this.#events = events;
  }

  /** Starts the threads. Until then everything waits. */
  open(): void {
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
    if (definition.lane === 'worker') this.#urls.set(definition, moduleUrl(definition.module).href);
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

  /** No thread goes on with code of a plugin that has left. */
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
    let timer: NodeJS.Timeout | undefined;
    // tinypool waits for ever for a thread that has ended already.
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeTimeoutMs);
    });
    await Promise.race([this.#pool?.destroy(), late]);
    clearTimeout(timer);
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
