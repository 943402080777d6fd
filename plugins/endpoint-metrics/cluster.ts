import type { Cluster } from '#kernel';
import type { Metrics } from './metrics.js';

/** Metrics of a node among others. */
export function clusterMetrics(metrics: Metrics, cluster: Cluster): void {
  metrics.gauge('waggle_engine_up', 'Whether the engine that the servers share can be reached: 1 or 0', () =>
    cluster.stats.up ? 1 : 0,
  );
  metrics.gauges('waggle_engine_rtt_seconds', 'Time of the latest round trip to the engine', [], () => {
    const { rttMs } = cluster.stats;
    return rttMs === undefined ? [] : [[{}, rttMs / 1000]];
  });
  metrics.gauge('waggle_cluster_nodes', 'Servers alive, as this one sees them', () => cluster.stats.nodes);
  metrics.total(
    'waggle_client_takeovers_total',
    'Client ids that other servers have taken from this one',
    () => cluster.stats.takeovers,
  );
}
