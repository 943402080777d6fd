import type { ChatStreams } from '../contracts/stream.js';
import type { TaskEngine } from '../contracts/task.js';
import type { EventLoopLag, Lag } from './event-loop-lag.js';

/** Services whose work is counted; rates of an absent one are 0. */
export interface RateSources {
  readonly streams?: Pick<ChatStreams, 'stats'> | undefined;
  readonly tasks?: Pick<TaskEngine, 'stats'> | undefined;
}

/** Work per second and event-loop delay over one interval. */
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
  #start;

  constructor(
    sources: RateSources,
    eventLoop: Pick<EventLoopLag, 'lag' | 'reset'>,
    now = () => performance.now(),
  ) {
    this.#sources = sources;
    this.#eventLoop = eventLoop;
    this.#now = now;
    this.#start = this.#count();
  }

  /** Rates of the interval so far. */
  get rates(): Rates {
    const { atMs, tokens, ended } = this.#count();
    const seconds = (atMs - this.#start.atMs) / 1000;
    const rate = (count: number) => (seconds > 0 ? tenths(count / seconds) : 0);
    return {
      tokensPerSecond: rate(tokens - this.#start.tokens),
      tasksPerSecond: rate(ended - this.#start.ended),
      lag: this.#eventLoop.lag,
    };
  }

  /** Begins the next interval. */
  restart(): void {
    this.#start = this.#count();
    this.#eventLoop.reset();
  }

  #count(): { readonly atMs: number; readonly tokens: number; readonly ended: number } {
    const { tokens = 0 } = this.#sources.streams?.stats ?? {};
    const { succeeded = 0, failed = 0, cancelled = 0 } = this.#sources.tasks?.stats ?? {};
    return { atMs: this.#now(), tokens, ended: succeeded + failed + cancelled };
  }
}

/** A value to one decimal place. */
export function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
