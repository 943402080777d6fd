import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Undo } from '#kernel';

const resolutionMs = 20;

/** Milliseconds by which things were late. */
export interface Lag {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** How late the event loop is. */
export class EventLoopLag {
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): Undo {
    this.#delays.enable();
    return () => void this.#delays.disable();
  }

  /** Since the last reset. */
  get lag(): Lag {
    const delays = this.#delays;
    return {
      p50Ms: lateMs(delays.percentile(50)),
      p99Ms: lateMs(delays.percentile(99)),
      maxMs: lateMs(delays.max),
    };
  }

  reset(): void {
    this.#delays.reset();
  }
}

/** Node.js measures from one look at the clock to the next one, which is never less than the resolution. */
function lateMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - resolutionMs);
}
