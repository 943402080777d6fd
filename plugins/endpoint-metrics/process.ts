import type { Undo } from '#kernel';
import { EventLoopLag, type Lag, memoryNow } from '#sdk';
import type { Metrics } from './metrics.js';

/** Process metrics under the usual names of Prometheus clients. Those of prom-client itself cannot be stopped. */
export function processMetrics(metrics: Metrics): void {
  const startedAt = Date.now() / 1000 - process.uptime();
  const cpu = () => process.cpuUsage();
  metrics.total('process_cpu_user_seconds_total', 'CPU time in user mode', () => cpu().user / 1e6);
  metrics.total('process_cpu_system_seconds_total', 'CPU time in the kernel', () => cpu().system / 1e6);
  metrics.total('process_cpu_seconds_total', 'CPU time', () => (cpu().user + cpu().system) / 1e6);
  metrics.gauge(
    'process_start_time_seconds',
    'Start time of the process, in seconds since 1970',
    () => startedAt,
  );
  metrics.gauge('process_resident_memory_bytes', 'Resident memory', () => memoryNow().rssBytes);
  metrics.gauge('nodejs_heap_size_total_bytes', 'Size of the heap', () => memoryNow().heapTotalBytes);
  metrics.gauge('nodejs_heap_size_used_bytes', 'Used size of the heap', () => memoryNow().heapBytes);
  metrics.gauge('nodejs_external_memory_bytes', 'Memory outside the heap', () => memoryNow().externalBytes);
  const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
  const version = process.version;
  metrics.gauges(
    'nodejs_version_info',
    'Always 1, with the version of Node.js as labels',
    ['version', 'major', 'minor', 'patch'],
    () => [[{ version, major, minor, patch }, 1]],
  );
}

/** Event-loop delay since the last scrape, under the usual names of Node.js clients. Undone, it is no longer measured. */
export function eventLoopMetrics(metrics: Metrics): Undo {
  const eventLoop = new EventLoopLag();
  const gauge = (name: string, what: string, of: (lag: Lag) => number) =>
    metrics.gauge(
      `nodejs_eventloop_lag_${name}_seconds`,
      `Event-loop delay since the last scrape: ${what}`,
      () => of(eventLoop.lag) / 1000,
    );
  gauge('p50', '50th percentile', ({ p50Ms }) => p50Ms);
  gauge('p90', '90th percentile', ({ p90Ms }) => p90Ms);
  gauge('p99', '99th percentile', ({ p99Ms }) => p99Ms);
  gauge('mean', 'mean', ({ meanMs }) => meanMs);
  // Read last: it ends the interval.
  gauge('max', 'maximum', ({ maxMs }) => {
    eventLoop.reset();
    return maxMs;
  });
  return eventLoop.start();
}
