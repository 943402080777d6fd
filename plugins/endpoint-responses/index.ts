import { Chat, ChatStreams, ConversationStore, definePlugin, Limits, type Route, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { Models } from '#sdk/dialect';
import { config, liveKeys } from './config.js';
import * as docs from './docs.js';
import { Responses } from './responses.js';
import { ResponseRoutes } from './routes.js';
import { ResponseSockets } from './sockets.js';

export default definePlugin({
  name: 'endpoint-responses',
  apiVersion: 1,
  config,
  live: liveKeys,
  requires: { transport: Transport, streams: ChatStreams, chat: Chat, store: ConversationStore },
  optional: { limits: Limits },
  setup(ctx, { transport, streams, chat, store, limits }) {
    const { bus, logger, config } = ctx;
    const models = new Models(ctx.agents, chat);
    const responses = new Responses({ streams, models, store, bus, logger, config });
    responses.watch();
    ctx.effect('stores responses', () => () => responses.settled());
    const routes = new ResponseRoutes(responses, models, config);
    const path = '/v1/responses';
    const all = (): readonly Route[] => {
      const { replyTimeoutMs: timeoutMs, bodyLimitBytes } = config;
      const runs = { timeoutMs, bodyLimitBytes, limitedBy: ctx.id };
      return [
        {
          method: 'POST',
          path,
          docs: docs.create,
          ...runs,
          handler: (request, response) => routes.create(request, response),
        },
        {
          method: 'POST',
          path: `${path}/compact`,
          docs: docs.compact,
          ...runs,
          handler: (request, response) => routes.compact(request, response),
        },
        {
          method: 'GET',
          path: `${path}/{response_id}`,
          docs: docs.retrieve,
          handler: (request, response) => routes.retrieve(request, response),
        },
        {
          method: 'DELETE',
          path: `${path}/{response_id}`,
          docs: docs.remove,
          handler: (request, response) => routes.delete(request, response),
        },
        {
          method: 'POST',
          path: `${path}/{response_id}/cancel`,
          docs: docs.cancel,
          handler: (request, response) => routes.cancel(request, response),
        },
        {
          method: 'GET',
          path: `${path}/{response_id}/input_items`,
          docs: docs.inputItems,
          handler: (request, response) => routes.inputItems(request, response),
        },
      ];
    };
    transport.errors({ path, format: routes.format });
    liveRoutes(ctx, transport, all);
    const sockets = new ResponseSockets(path, ctx.id, { responses, models, limits, logger, config });
    transport.websocket(sockets);
    ctx.onDrain((deadline) => sockets.drain(deadline));
  },
});
