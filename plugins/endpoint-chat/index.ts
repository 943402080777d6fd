import { ChatStreams, definePlugin, Overview, type Route, Transport } from '#kernel';
import { answerStream, answerWhole, cancelStream, resumeStream } from './chat-routes.js';
import { config } from './config.js';
import { cancelDocs, resumeDocs, streamDocs, wholeDocs } from './docs.js';

export default definePlugin({
  name: 'endpoint-chat',
  apiVersion: 1,
  config,
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview },
  setup(ctx, { transport, streams, overview }) {
    const { replyTimeoutMs, startTimeoutMs, heartbeatMs } = ctx.config;
    const routes: readonly Route[] = [
      {
        method: 'POST',
        path: '/chat',
        docs: wholeDocs,
        timeoutMs: replyTimeoutMs,
        handler: (request, reply) => answerWhole(streams, request, reply),
      },
      {
        method: 'POST',
        path: '/chat/stream',
        docs: streamDocs,
        timeoutMs: startTimeoutMs,
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
    for (const route of routes) transport.route(route);
    overview?.add('chat', '/chat');
    overview?.add('chat_stream', '/chat/stream');
  },
});
