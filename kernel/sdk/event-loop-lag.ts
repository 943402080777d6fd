import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Undo } from '../contracts/effect.js';

const resolutionMs = 20;

/** Event-loop delay in milliseconds. */
export interface Lag {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly meanMs: number;
  readonly maxMs: number;
}

/**
 * Event-loop delay since the last reset, sampled every 20 ms. Each user has one of its own, as the intervals differ: Node.js
 * samples all of them in one wake-up without JavaScript, at less than half the cost of a shared timer.
 */
export class EventLoopLag {
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs });

  /** Starts sampling. */
  start(): Undo {
    this.#delays.enable();
    return () => void this.#delays.disable();
  }

  /** Statistics since the last reset; zeros before the first sample. */
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

/** Node.js measures the time between two samples, which is never less than the resolution. */
function lateMs(nanoseconds: number): number {
  return Math.max(0, (nanoseconds || 0) / 1e6 - resolutionMs);
}
