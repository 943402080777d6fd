import { Chat, ChatStreams, definePlugin, Overview, type Route, Transport } from '#kernel';
import { Completions } from './completions.js';
import { config } from './config.js';
import { chatDocs, modelDocs, modelsDocs, textDocs } from './docs.js';
import { exposed } from './errors.js';
import { Models } from './models.js';

export default definePlugin({
  name: 'endpoint-openai',
  apiVersion: 1,
  config,
  requires: { transport: Transport, streams: ChatStreams, chat: Chat },
  optional: { overview: Overview },
  setup(ctx, { transport, streams, chat, overview }) {
    const models = new Models(ctx.agents, chat);
    const completions = new Completions(streams, models, ctx.config);
    const { replyTimeoutMs: timeoutMs } = ctx.config;
    const routes: readonly Route[] = [
      {
        method: 'GET',
        path: '/v1/models',
        docs: modelsDocs,
        handler: async (_request, reply) =>
          reply.json(200, { object: 'list', data: await models.list() }, exposed),
      },
      {
        method: 'GET',
        path: '/v1/models/{model*}',
        docs: modelDocs,
        handler: async (request, reply) =>
          reply.json(200, await models.find(request.params.model as string), exposed),
      },
      {
        method: 'POST',
        path: '/v1/chat/completions',
        docs: chatDocs,
        timeoutMs,
        handler: (request, reply) => completions.chat(request, reply),
      },
      {
        method: 'POST',
        path: '/v1/completions',
        docs: textDocs,
        timeoutMs,
        handler: (request, reply) => completions.text(request, reply),
      },
    ];
    transport.errors({ path: '/v1', format: completions.format });
    for (const route of routes) transport.route(route);
    overview?.add('openai', '/v1');
  },
});
