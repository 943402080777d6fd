import { memoryNow } from '#sdk';
import type { Metrics } from './metrics.js';

/** This process, under the names that the clients of Prometheus agree on. Those of prom-client cannot be ended. */
export function processMetrics(metrics: Metrics): void {
  const startedAt = Date.now() / 1000 - process.uptime();
  const cpu = () => process.cpuUsage();
  metrics.total('process_cpu_user_seconds_total', 'CPU time in user mode', () => cpu().user / 1e6);
  metrics.total('process_cpu_system_seconds_total', 'CPU time in the kernel', () => cpu().system / 1e6);
  metrics.total('process_cpu_seconds_total', 'CPU time', () => (cpu().user + cpu().system) / 1e6);
  metrics.gauge('process_start_time_seconds', 'When the process started, since 1970', () => startedAt);
  metrics.gauge('process_resident_memory_bytes', 'Memory in use', () => memoryNow().rssBytes);
  metrics.gauge('nodejs_heap_size_total_bytes', 'The heap', () => memoryNow().heapTotalBytes);
  metrics.gauge('nodejs_heap_size_used_bytes', 'The heap in use', () => memoryNow().heapBytes);
  metrics.gauge('nodejs_external_memory_bytes', 'Memory outside the heap', () => memoryNow().externalBytes);
  const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
  const version = process.version;
  metrics.gauges(
    'nodejs_version_info',
    'Always 1; the version of Node.js is in the labels',
    ['version', 'major', 'minor', 'patch'],
    () => [[{ version, major, minor, patch }, 1]],
  );
}
