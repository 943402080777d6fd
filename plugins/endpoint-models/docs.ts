import type { RouteDocs } from '#kernel';
import { openAiErrorBody as error } from '#sdk/dialect';
import { z } from '#zod';
import { model, models } from './model-object.js';

/** `GET /v1/models` */
export const modelsDocs: RouteDocs = {
  summary: "List the agents and their models as models of OpenAI's API",
  responses: { 200: { description: 'The models', content: { 'application/json': models } } },
  error,
  errors: ['DEADLINE_EXCEEDED'],
};

/** `GET /v1/models/{model}` */
export const modelDocs: RouteDocs = {
  summary: 'Get one model',
  params: z.object({ model: z.string().describe('The id of the model; slashes may be percent-encoded') }),
  responses: { 200: { description: 'The model', content: { 'application/json': model } } },
  error,
  errors: ['AGENT_UNKNOWN', 'DEADLINE_EXCEEDED'],
};
