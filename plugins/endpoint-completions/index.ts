import { Chat, ChatStreams, definePlugin, type Route, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { Models } from '#sdk/dialect';
import { Completions } from './completions.js';
import { config } from './config.js';
import { chatDocs, textDocs } from './docs.js';

export default definePlugin({
  name: 'endpoint-completions',
  apiVersion: 1,
  config,
  live: ['replyTimeoutMs', 'bodyLimitBytes', 'holdHeadersMs', 'heartbeatMs'],
  requires: { transport: Transport, streams: ChatStreams, chat: Chat },
  setup(ctx, { transport, streams, chat }) {
    const completions = new Completions(streams, new Models(ctx.agents, chat), ctx.config);
    const routes = (): readonly Route[] => {
      const { replyTimeoutMs: timeoutMs, bodyLimitBytes } = ctx.config;
      const limits = { timeoutMs, bodyLimitBytes, limitedBy: ctx.id };
      return [
        {
          method: 'POST',
          path: '/v1/chat/completions',
          docs: chatDocs,
          ...limits,
          handler: (request, response) => completions.chat(request, response),
        },
        {
          method: 'POST',
          path: '/v1/completions',
          docs: textDocs,
          ...limits,
          handler: (request, response) => completions.text(request, response),
        },
      ];
    };
    for (const { path } of routes()) transport.errors({ path, format: completions.format });
    liveRoutes(ctx, transport, routes);
  },
});
