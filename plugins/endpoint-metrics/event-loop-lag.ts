import type { Undo } from '#kernel';
import { EventLoopLag, type Lag } from '#sdk';
import type { Metrics } from './metrics.js';

/** How late the event loop was since the last time that somebody asked, under the names that others give it. Undone, it is no longer measured. */
export function eventLoopMetrics(metrics: Metrics): Undo {
  const eventLoop = new EventLoopLag();
  const gauge = (name: string, what: string, of: (lag: Lag) => number) =>
    metrics.gauge(
      `nodejs_eventloop_lag_${name}_seconds`,
      `How late the event loop was since the last scrape: ${what}`,
      () => of(eventLoop.lag) / 1000,
    );
  gauge('p50', 'percentile 50', ({ p50Ms }) => p50Ms);
  gauge('p90', 'percentile 90', ({ p90Ms }) => p90Ms);
  gauge('p99', 'percentile 99', ({ p99Ms }) => p99Ms);
  gauge('mean', 'mean', ({ meanMs }) => meanMs);
  // The last one that is read.
  gauge('max', 'maximum', ({ maxMs }) => {
    eventLoop.reset();
    return maxMs;
  });
  return eventLoop.start();
}
