import { Chat, definePlugin, Overview, Transport } from '#kernel';
import { version } from '#sdk';
import { agentsDocs, overviewDocs } from './docs.js';
import { EndpointList } from './endpoint-list.js';

export default definePlugin({
  name: 'endpoint-overview',
  apiVersion: 1,
  requires: { transport: Transport, chat: Chat },
  provides: [Overview],
  setup(ctx, { transport, chat }) {
    const endpoints = new EndpointList();
    ctx.provide(Overview, endpoints);
    transport.route({
      method: 'GET',
      path: '/',
      access: 'public',
      docs: overviewDocs,
      handler: ({ basePath }, reply) =>
        reply.json(200, { message: 'Chat Backend API', version, endpoints: endpoints.below(basePath) }),
    });
    transport.route({
      method: 'GET',
      path: '/agents',
      docs: agentsDocs,
      handler: async (_request, reply) => reply.json(200, { agents: await chat.statuses() }),
    });
  },
});
