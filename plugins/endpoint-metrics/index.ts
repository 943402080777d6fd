import {
  ChatStreams,
  Cluster,
  ConversationStore,
  definePlugin,
  Limits,
  Overview,
  Shards,
  TaskEngine,
  Transport,
} from '#kernel';
import { version } from '#sdk';
import { clusterMetrics } from './cluster.js';
import { connectionMetrics } from './connections.js';
import { metricsDocs } from './docs.js';
import { engineMetrics } from './engine.js';
import { merged } from './merged.js';
import { Metrics } from './metrics.js';
import { stateMetrics } from './plugin-states.js';
import { eventLoopMetrics, processMetrics } from './process.js';
import { streamMetrics } from './streams.js';
import { taskMetrics } from './tasks.js';
import { upstreamMetrics } from './upstream.js';

export default definePlugin({
  name: 'endpoint-metrics',
  apiVersion: 1,
  requires: { transport: Transport },
  optional: {
    streams: ChatStreams,
    tasks: TaskEngine,
    cluster: Cluster,
    shards: Shards,
    store: ConversationStore,
    limits: Limits,
    overview: Overview,
  },
  setup(ctx, { transport, streams, tasks, cluster, shards, store, limits, overview }) {
    const metrics = new Metrics(
      (err, metric) => ctx.logger.error({ err, metric }, 'a metric could not be read'),
      shards && { shard: String(shards.index) },
    );
    shards?.answer('metrics', () => metrics.text());
    stateMetrics(metrics, version, ctx.inspect);
    connectionMetrics(metrics, ctx.bus, transport);
    if (streams) streamMetrics(metrics, ctx.bus, streams);
    if (tasks) taskMetrics(metrics, ctx.bus, tasks);
    if (cluster) clusterMetrics(metrics, cluster);
    engineMetrics(metrics, { cluster, streams, tasks, store, limits });
    upstreamMetrics(metrics, ctx.bus);
    processMetrics(metrics);
    metrics.names('agent', (name) => ctx.agents.find(name) !== undefined);
    const isTask = (name: string) => ctx.tasks.find(name) !== undefined;
    // Models make names up, and clients have tools of their own.
    metrics.names('tool', (name) => isTask(name) || /^(consult|hand_over_to)_/.test(name));
    metrics.names('task', isTask);
    ctx.effect('event loop lag', () => eventLoopMetrics(metrics));
    transport.route({
      method: 'GET',
      path: '/metrics',
      access: 'admin',
      docs: metricsDocs,
      handler: async (_request, reply) =>
        reply.send(200, shards ? merged(await shards.ask('metrics')) : await metrics.text(), {
          'content-type': metrics.contentType,
        }),
    });
    overview?.add('metrics', '/metrics');
  },
});
