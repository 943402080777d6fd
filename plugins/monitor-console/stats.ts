import type { ChatStreams, TaskEngine, Transport } from '#kernel';
import { type EventLoopLag, memoryNow, RateMeter, type RateSources, type Rates, tenths } from '#sdk';
import type { Stats } from './docs.js';

/** Services with stats. The part of an absent one is left out. */
export interface Sources extends RateSources {
  readonly transport?: Pick<Transport, 'connections'>;
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
      eventLoop: { p50Ms: tenths(p50Ms), p99Ms: tenths(p99Ms), maxMs: tenths(maxMs) },
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
