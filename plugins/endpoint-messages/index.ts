import { Chat, ChatStreams, definePlugin, type Route, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { dialectConfig, Models } from '#sdk/dialect';
import { countDocs, messagesDocs } from './docs.js';
import { MessagesApi } from './messages-api.js';

export default definePlugin({
  name: 'endpoint-messages',
  apiVersion: 1,
  config: dialectConfig,
  live: true,
  requires: { transport: Transport, streams: ChatStreams, chat: Chat },
  setup(ctx, { transport, streams, chat }) {
    const api = new MessagesApi(streams, new Models(ctx.agents, chat), ctx.config);
    const routes = (): readonly Route[] => {
      const { replyTimeoutMs: timeoutMs, bodyLimitBytes } = ctx.config;
      const limits = { bodyLimitBytes, limitedBy: ctx.id };
      return [
        {
          method: 'POST',
          path: '/v1/messages',
          docs: messagesDocs,
          timeoutMs,
          ...limits,
          handler: (request, response) => api.create(request, response),
        },
        {
          method: 'POST',
          path: '/v1/messages/count_tokens',
          docs: countDocs,
          ...limits,
          handler: (request, response) => api.count(request, response),
        },
      ];
    };
    transport.errors({ path: '/v1/messages', format: api.format });
    liveRoutes(ctx, transport, routes);
  },
});
