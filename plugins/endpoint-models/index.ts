import { Chat, definePlugin, Overview, Transport } from '#kernel';
import { exposedHeaders, Models, openAiError } from '#sdk/dialect';
import { modelDocs, modelsDocs } from './docs.js';
import { modelList, modelObject } from './model-object.js';

export default definePlugin({
  name: 'endpoint-models',
  apiVersion: 1,
  requires: { transport: Transport, chat: Chat },
  optional: { overview: Overview },
  setup(ctx, { transport, chat, overview }) {
    const models = new Models(ctx.agents, chat);
    transport.errors({ path: '/v1', format: (error) => openAiError(error, undefined) });
    transport.route({
      method: 'GET',
      path: '/v1/models',
      docs: modelsDocs,
      handler: async (_request, response) =>
        response.json(200, modelList(await models.list()), exposedHeaders),
    });
    transport.route({
      method: 'GET',
      path: '/v1/models/{model*}',
      docs: modelDocs,
      handler: async (request, response) =>
        response.json(200, modelObject(await models.find(request.params.model as string)), exposedHeaders),
    });
    overview?.add('openai', '/v1');
  },
});
