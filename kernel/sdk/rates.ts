import type { ChatStreams } from '../contracts/stream.js';
import type { TaskEngine } from '../contracts/task.js';
import type { EventLoopLag, Lag } from './event-loop-lag.js';

/** The services whose work is counted; rates of an absent one are 0. */
export interface RateSources {
  readonly streams?: Pick<ChatStreams, 'stats'> | undefined;
  readonly tasks?: Pick<TaskEngine, 'stats'> | undefined;
}

/** Work per second and event-loop delay over one interval, to a tenth. */
export interface Rates {
  readonly tokensPerSecond: number;
  /** Task runs that ended, whatever the outcome. */
  readonly tasksPerSecond: number;
  readonly lag: Lag;
}

/** Rates over consecutive intervals. */
export class RateMeter {
  readonly #sources: RateSources;
  readonly #eventLoop: Pick<EventLoopLag, 'lag' | 'reset'>;
  readonly #now: () => number;
  #startMs = 0;
  #start = { tokens: 0, ended: 0 };

  constructor(
    sources: RateSources,
    eventLoop: Pick<EventLoopLag, 'lag' | 'reset'>,
    now = () => performance.now(),
  ) {
    this.#sources = sources;
    this.#eventLoop = eventLoop;
    this.#now = now;
    this.#begin();
  }

  /** Rates of the interval so far. */
  get rates(): Rates {
    const { tokens, ended } = countOf(this.#sources);
    const seconds = (this.#now() - this.#startMs) / 1000;
    const rate = (count: number) => (seconds > 0 ? tenths(count / seconds) : 0);
    const lag = Object.entries(this.#eventLoop.lag).map(([name, ms]) => [name, tenths(ms)]);
    return {
      tokensPerSecond: rate(tokens - this.#start.tokens),
      tasksPerSecond: rate(ended - this.#start.ended),
      lag: Object.fromEntries(lag) as Lag,
    };
  }

  /** Begins the next interval. */
  restart(): void {
    this.#begin();
    this.#eventLoop.reset();
  }

  #begin(): void {
    this.#start = countOf(this.#sources);
    this.#startMs = this.#now();
  }
}

function countOf({ streams, tasks }: RateSources) {
  const { succeeded, failed, cancelled } = tasks?.stats ?? { succeeded: 0, failed: 0, cancelled: 0 };
  return { tokens: streams?.stats.tokens ?? 0, ended: succeeded + failed + cancelled };
}

/** A value to one decimal place. */
export function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
