import { type RouteDocs, traceHeaders } from '#kernel';
import { agentErrors, openAiErrorBody as errorObject } from '#sdk/dialect';
import { embeddingsBody } from './body.js';
import { embeddingList } from './embedding-list.js';

const failed = { description: 'The agent failed', content: { 'application/json': errorObject } };

/** `POST /v1/embeddings` */
export const embeddingsDocs: RouteDocs = {
  summary: "Turn texts into vectors, as in OpenAI's API",
  headers: traceHeaders,
  body: embeddingsBody,
  responses: {
    200: { description: 'The vectors', content: { 'application/json': embeddingList } },
    429: { description: "The model server's rate limit", content: failed.content },
    500: failed,
  },
  error: errorObject,
  errors: agentErrors,
};
