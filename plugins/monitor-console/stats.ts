import type { ChatStreams, TaskEngine, TaskPriority, Transport } from '#kernel';
import {
  type EventLoopLag,
  type Lag,
  memoryNow,
  RateMeter,
  type RateSources,
  type Rates,
  tenths,
} from '#sdk';

/** Services with stats. The part of an absent one is left out. */
export interface Sources extends RateSources {
  readonly transport?: Pick<Transport, 'connections'>;
}

/** Load of the server. Rates and lag cover the last full interval, or the time since the start during the first one. */
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
    /** Waiting, by priority. */
    readonly queued: Readonly<Record<TaskPriority, number>>;
    readonly failed: number;
    readonly rejected: number;
    /** Runs that ended, whatever the outcome. */
    readonly perSecond: number;
  };
  readonly workers?: { readonly alive: number; readonly busy: number; readonly lost: number };
  readonly eventLoop: Pick<Lag, 'p50Ms' | 'p99Ms' | 'maxMs'>;
  readonly memory: { readonly rssMb: number; readonly heapMb: number };
}

/** Server load, with rates per interval. */
export class Sampler {
  readonly #sources: Sources;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  readonly #meter: RateMeter;
  #last: Rates | undefined;

  constructor(
    sources: Sources,
    eventLoop: Pick<EventLoopLag, 'lag' | 'reset'>,
    now = () => performance.now(),
  ) {
    this.#sources = sources;
    this.#now = now;
    this.#startedAtMs = now();
    this.#meter = new RateMeter(sources, eventLoop, now);
  }

  /** Current values, with the rates of the last full interval. */
  get stats(): Stats {
    const { transport, streams, tasks } = this.#sources;
    const { tokensPerSecond, tasksPerSecond, lag } = this.#last ?? this.#meter.rates;
    const { p50Ms, p99Ms, maxMs } = lag;
    const { rssBytes, heapBytes } = memoryNow();
    return {
      uptimeMs: Math.round(this.#now() - this.#startedAtMs),
      ...(transport && { connections: transport.connections }),
      ...(streams && { streams: streamsOf(streams.stats, tokensPerSecond) }),
      ...(tasks && { tasks: tasksOf(tasks.stats, tasksPerSecond), workers: tasks.stats.workers }),
      eventLoop: { p50Ms, p99Ms, maxMs },
      memory: { rssMb: megabytes(rssBytes), heapMb: megabytes(heapBytes) },
    };
  }

  /** Ends an interval and begins the next one. */
  sample(): Stats {
    this.#last = this.#meter.rates;
    this.#meter.restart();
    return this.stats;
  }
}

function streamsOf(stats: ChatStreams['stats'], tokensPerSecond: number): NonNullable<Stats['streams']> {
  const { running, waiting, kept, readers } = stats;
  return { running, waiting, kept, readers, tokensPerSecond };
}

function tasksOf(stats: TaskEngine['stats'], perSecond: number): NonNullable<Stats['tasks']> {
  const { running, waiting, queued, failed, rejected } = stats;
  return { running, waiting, queued, failed, rejected, perSecond };
}

function megabytes(bytes: number): number {
  return tenths(bytes / (1024 * 1024));
}
