import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Undo } from '../scope.js';

const resolutionMs = 20;

/** Milliseconds by which things were late. */
export interface Lag {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly meanMs: number;
  readonly maxMs: number;
}

/** How late the event loop is, which everybody who waits for the server feels. Costs fifty looks at the clock a second. */
export class EventLoopLag {
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs });

  /** Undone, it is no longer measured. */
  start(): Undo {
    this.#delays.enable();
    return () => void this.#delays.disable();
  }

  /** Since the last reset; nothing but zeros where there was nothing to measure yet. */
  get lag(): Lag {
    const delays = this.#delays;
    return {
      p50Ms: lateMs(delays.percentile(50)),
      p90Ms: lateMs(delays.percentile(90)),
      p99Ms: lateMs(delays.percentile(99)),
      meanMs: lateMs(delays.mean),
      maxMs: lateMs(delays.max),
    };
  }

  reset(): void {
    this.#delays.reset();
  }
}

/** Node.js measures from one look at the clock to the next one, which is never less than the resolution. */
function lateMs(nanoseconds: number): number {
  return Math.max(0, (nanoseconds || 0) / 1e6 - resolutionMs);
}
