import { Chat, ChatStreams, definePlugin, Overview, type Route, Transport } from '#kernel';
import { liveRoutes } from '#sdk';
import { Embedder, Models } from '#sdk/dialect';
import { config } from './config.js';
import { docs } from './docs.js';
import { notOffered } from './not-offered.js';
import { OllamaApi } from './ollama.js';

export default definePlugin({
  name: 'endpoint-ollama',
  apiVersion: 1,
  config,
  live: true,
  requires: { transport: Transport, streams: ChatStreams, chat: Chat },
  optional: { overview: Overview },
  setup(ctx, { transport, streams, chat, overview }) {
    const models = new Models(ctx.agents, chat);
    const timeout = () => ctx.config.replyTimeoutMs;
    const embedder = new Embedder(chat, models, { logger: ctx.logger, timeoutMs: timeout });
    const api = new OllamaApi(streams, models, embedder);
    const get = (path: keyof typeof docs, handler: Route['handler']): Route => {
      return { method: 'GET', path, docs: docs[path], handler };
    };
    const routes = (): readonly Route[] => {
      const { replyTimeoutMs: timeoutMs, bodyLimitBytes } = ctx.config;
      const limits = { timeoutMs, bodyLimitBytes, limitedBy: ctx.id };
      const post = (path: keyof typeof docs, handler: Route['handler']): Route => {
        return { method: 'POST', path, docs: docs[path], ...limits, handler };
      };
      return [
        get('/api/version', (_request, response) => api.version(response)),
        get('/api/tags', (_request, response) => api.tags(response)),
        get('/api/ps', (_request, response) => response.json(200, { models: [] })),
        post('/api/show', (request, response) => api.show(request, response)),
        post('/api/chat', (request, response) => api.chat(request, response)),
        post('/api/generate', (request, response) => api.generate(request, response)),
        post('/api/embed', (request, response) => api.embed(request, response)),
        post('/api/embeddings', (request, response) => api.embedding(request, response)),
        ...notOffered,
      ];
    };
    transport.errors({ path: '/api', format: api.format });
    liveRoutes(ctx, transport, routes);
    overview?.add('ollama', '/api');
  },
});
