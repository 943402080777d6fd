import { Chat, definePlugin, type Route, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { Embedder, Models, openAiError } from '#sdk/dialect';
import { config } from './config.js';
import { embeddingsDocs } from './docs.js';
import { embed } from './embeddings.js';

const path = '/v1/embeddings';

export default definePlugin({
  name: 'endpoint-embeddings',
  apiVersion: 1,
  config,
  live: true,
  requires: { transport: Transport, chat: Chat },
  setup(ctx, { transport, chat }) {
    const models = new Models(ctx.agents, chat);
    const timeout = () => ctx.config.replyTimeoutMs;
    const embedder = new Embedder(chat, models, { logger: ctx.logger, timeoutMs: timeout });
    const handler: Route['handler'] = (request, response) => embed(embedder, request, response);
    transport.errors({ path, format: (error) => openAiError(error, undefined) });
    liveRoutes(ctx, transport, () => {
      const { replyTimeoutMs: timeoutMs, bodyLimitBytes } = ctx.config;
      const limits = { timeoutMs, bodyLimitBytes, limitedBy: ctx.id };
      return [{ method: 'POST', path, docs: embeddingsDocs, ...limits, handler }];
    });
  },
});
