import { ChatStreams, definePlugin, Overview, type Route, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { answerStream, answerWhole, cancelStream, resumeStream } from './chat-routes.js';
import { config } from './config.js';
import { cancelDocs, resumeDocs, streamDocs, wholeDocs } from './docs.js';

export default definePlugin({
  name: 'endpoint-chat',
  apiVersion: 1,
  config,
  live: true,
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview },
  setup(ctx, { transport, streams, overview }) {
    const routes = (): readonly Route[] => {
      const { replyTimeoutMs, startTimeoutMs, heartbeatMs, bodyLimitBytes } = ctx.config;
      const limit = { bodyLimitBytes, limitedBy: ctx.id };
      return [
        {
          method: 'POST',
          path: '/chat',
          docs: wholeDocs,
          timeoutMs: replyTimeoutMs,
          ...limit,
          handler: (request, reply) => answerWhole(streams, request, reply),
        },
        {
          method: 'POST',
          path: '/chat/stream',
          docs: streamDocs,
          timeoutMs: startTimeoutMs,
          ...limit,
          handler: (request, reply) => answerStream(streams, request, reply, heartbeatMs),
        },
        {
          method: 'GET',
          path: '/chat/stream/{stream_id}',
          docs: resumeDocs,
          timeoutMs: startTimeoutMs,
          handler: (request, reply) => resumeStream(streams, request, reply, heartbeatMs),
        },
        {
          method: 'DELETE',
          path: '/chat/stream/{stream_id}',
          docs: cancelDocs,
          handler: (request, reply) => cancelStream(streams, request, reply),
        },
      ];
    };
    liveRoutes(ctx, transport, routes);
    overview?.add('chat', '/chat');
    overview?.add('chat_stream', '/chat/stream');
  },
});
