import { Chat, definePlugin, Overview, Transport, version } from '#kernel';
import { docsPage } from './docs-page.js';
import { EndpointList } from './endpoint-list.js';

export default definePlugin({
  name: 'endpoint-overview',
  apiVersion: 1,
  requires: { transport: Transport, chat: Chat },
  provides: [Overview],
  setup(ctx, { transport, chat }) {
    const endpoints = new EndpointList();
    ctx.provide(Overview, endpoints);
    ctx.effect('endpoint docs', () => endpoints.add('docs', '/docs'));
    ctx.effect('GET /', () =>
      transport.route({
        method: 'GET',
        path: '/',
        handler: (_request, reply) =>
          reply.json(200, { message: 'Chat Backend API', version, endpoints: endpoints.toJSON() }),
      }),
    );
    ctx.effect('GET /docs', () =>
      transport.route({
        method: 'GET',
        path: '/docs',
        handler: (_request, reply) =>
          reply.send(200, docsPage(endpoints.toJSON(), version), {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
          }),
      }),
    );
    ctx.effect('GET /agents', () =>
      transport.route({
        method: 'GET',
        path: '/agents',
        handler: async (_request, reply) => reply.json(200, { agents: await chat.statuses() }),
      }),
    );
  },
});
