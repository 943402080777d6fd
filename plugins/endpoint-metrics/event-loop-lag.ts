import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Undo } from '#kernel';
import type { Metrics } from './metrics.js';

const resolutionMs = 10;

/** How late the event loop was since the last time that somebody asked, under the names that others give it. Undone, it is no longer measured. */
export function eventLoopMetrics(metrics: Metrics): Undo {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  // Node.js measures from one look at the clock to the next one, which is never less than the resolution.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs) / 1000;
  const help = (what: string) => `How late the event loop was since the last scrape: ${what}`;
  for (const percent of [50, 90, 99])
    metrics.gauge(`nodejs_eventloop_lag_p${percent}_seconds`, help(`percentile ${percent}`), () =>
      late(delays.percentile(percent)),
    );
  metrics.gauge('nodejs_eventloop_lag_mean_seconds', help('mean'), () => late(delays.mean || 0));
  // The last one that is read.
  metrics.gauge('nodejs_eventloop_lag_max_seconds', help('maximum'), () => {
    const max = late(delays.max);
    delays.reset();
    return max;
  });
  return () => void delays.disable();
}
