import type { ChatStreams, TaskEngine, TaskPriority, Transport } from '#kernel';
import { type EventLoopLag, type Lag, memoryNow } from '#sdk';

/** Where figures come from. Those of a source that is absent are left out. */
export interface Sources {
  readonly transport?: Pick<Transport, 'connections'>;
  readonly streams?: Pick<ChatStreams, 'stats'>;
  readonly tasks?: Pick<TaskEngine, 'stats'>;
}

/** How much is going on. Rates and lag are those of the last full interval, or since the start while there was none. */
export interface Stats {
  readonly uptimeMs: number;
  readonly connections?: { readonly open: number; readonly limit: number };
  readonly streams?: {
    readonly running: number;
    readonly waiting: number;
    readonly kept: number;
    readonly readers: number;
    readonly tokensPerSecond: number;
  };
  readonly tasks?: {
    readonly running: number;
    readonly waiting: number;
    /** Waiting by priority. */
    readonly queued: Readonly<Record<TaskPriority, number>>;
    readonly failed: number;
    readonly rejected: number;
    /** Ended, in whatever way. */
    readonly perSecond: number;
  };
  readonly workers?: { readonly alive: number; readonly busy: number; readonly lost: number };
  readonly eventLoop: Pick<Lag, 'p50Ms' | 'p99Ms' | 'maxMs'>;
  readonly memory: { readonly rssMb: number; readonly heapMb: number };
}

interface Counters {
  readonly atMs: number;
  readonly tokens: number;
  readonly ended: number;
}

interface Rates {
  readonly tokens: number;
  readonly tasks: number;
  readonly lag: Lag;
}

/** Takes samples, and computes rates from one to the next. */
export class Sampler {
  readonly #sources: Sources;
  readonly #eventLoop: Pick<EventLoopLag, 'lag' | 'reset'>;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  #begun: Counters;
  #rates: Rates | undefined;

  constructor(
    sources: Sources,
    eventLoop: Pick<EventLoopLag, 'lag' | 'reset'>,
    now = () => performance.now(),
  ) {
    this.#sources = sources;
    this.#eventLoop = eventLoop;
    this.#now = now;
    this.#startedAtMs = now();
    this.#begun = this.#count();
  }

  /** What is now, with the rates of the last full interval. */
  get stats(): Stats {
    const { transport, streams, tasks } = this.#sources;
    const rates = this.#rates ?? this.#ratesSoFar();
    const { p50Ms, p99Ms, maxMs } = rates.lag;
    const { rssBytes, heapBytes } = memoryNow();
    return {
      uptimeMs: Math.round(this.#now() - this.#startedAtMs),
      ...(transport && { connections: transport.connections }),
      ...(streams && { streams: streamsOf(streams.stats, rates.tokens) }),
      ...(tasks && { tasks: tasksOf(tasks.stats, rates.tasks), workers: tasks.stats.workers }),
      eventLoop: { p50Ms: tenths(p50Ms), p99Ms: tenths(p99Ms), maxMs: tenths(maxMs) },
      memory: { rssMb: megabytes(rssBytes), heapMb: megabytes(heapBytes) },
    };
  }

  /** Ends an interval, and begins the next one. */
  sample(): Stats {
    this.#rates = this.#ratesSoFar();
    this.#begun = this.#count();
    this.#eventLoop.reset();
    return this.stats;
  }

  #count(): Counters {
    const { streams, tasks } = this.#sources;
    const { succeeded, failed, cancelled } = tasks?.stats ?? { succeeded: 0, failed: 0, cancelled: 0 };
    return {
      atMs: this.#now(),
      tokens: streams?.stats.tokens ?? 0,
      ended: succeeded + failed + cancelled,
    };
  }

  #ratesSoFar(): Rates {
    const { atMs, tokens, ended } = this.#count();
    const seconds = (atMs - this.#begun.atMs) / 1000;
    const rate = (count: number) => (seconds > 0 ? tenths(count / seconds) : 0);
    return {
      tokens: rate(tokens - this.#begun.tokens),
      tasks: rate(ended - this.#begun.ended),
      lag: this.#eventLoop.lag,
    };
  }
}

function streamsOf(figures: ChatStreams['stats'], tokensPerSecond: number): NonNullable<Stats['streams']> {
  const { running, waiting, kept, readers } = figures;
  return { running, waiting, kept, readers, tokensPerSecond };
}

function tasksOf(figures: TaskEngine['stats'], perSecond: number): NonNullable<Stats['tasks']> {
  const { running, waiting, queued, failed, rejected } = figures;
  return { running, waiting, queued, failed, rejected, perSecond };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

function megabytes(bytes: number): number {
  return tenths(bytes / (1024 * 1024));
}
