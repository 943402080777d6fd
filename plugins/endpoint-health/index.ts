import { Chat, Cluster, ConversationStore, definePlugin, Limits, Overview, Transport } from '#kernel';
import { version } from '#sdk';
import { healthDocs, readyDocs } from './docs.js';
import { readiness } from './readiness.js';

export default definePlugin({
  name: 'endpoint-health',
  apiVersion: 1,
  requires: { transport: Transport },
  optional: { chat: Chat, store: ConversationStore, cluster: Cluster, limits: Limits, overview: Overview },
  setup(ctx, { transport, chat, store, cluster, limits, overview }) {
    const startedAt = performance.now();
    transport.route({
      method: 'GET',
      path: '/health',
      access: 'public',
      docs: healthDocs,
      handler: (_request, reply) =>
        reply.json(200, { status: 'ok', version, uptimeMs: Math.round(performance.now() - startedAt) }),
    });
    transport.route({
      method: 'GET',
      path: '/ready',
      access: 'public',
      docs: readyDocs,
      handler: async (_request, reply) => {
        const agents = await chat?.statuses();
        const report = readiness(ctx.inspect(), agents, store?.trouble, cluster?.trouble, limits?.trouble);
        reply.json(report.status === 'ready' ? 200 : 503, report);
      },
    });
    overview?.add('health', '/health');
    overview?.add('ready', '/ready');
  },
});
