import { ChatStreams, definePlugin, Overview, Transport } from '#kernel';
import { answerStream, answerWhole } from './chat-routes.js';
import { config } from './config.js';

export default definePlugin({
  name: 'endpoint-chat',
  apiVersion: 1,
  config,
  requires: { transport: Transport, streams: ChatStreams },
  optional: { overview: Overview },
  setup(ctx, { transport, streams, overview }) {
    ctx.effect('POST /chat', () =>
      transport.route({
        method: 'POST',
        path: '/chat',
        timeoutMs: ctx.config.replyTimeoutMs,
        handler: (request, reply) => answerWhole(streams, request, reply),
      }),
    );
    ctx.effect('POST /chat/stream', () =>
      transport.route({
        method: 'POST',
        path: '/chat/stream',
        timeoutMs: ctx.config.startTimeoutMs,
        handler: (request, reply) => answerStream(streams, request, reply),
      }),
    );
    if (!overview) return;
    ctx.effect('endpoint chat', () => overview.add('chat', '/chat'));
    ctx.effect('endpoint chat_stream', () => overview.add('chat_stream', '/chat/stream'));
  },
});
