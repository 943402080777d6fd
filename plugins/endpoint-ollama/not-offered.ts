import type { Route } from '#kernel';
import { z } from '#zod';
import { errorObject } from './errors.js';

const error = 'Waggle manages no models: do that on the model server of the agent';

const params = z.object({ digest: z.string() });

/** The routes that change models. */
export const notOffered: readonly Route[] = (
  [
    ['POST', '/api/pull'],
    ['POST', '/api/push'],
    ['POST', '/api/create'],
    ['POST', '/api/copy'],
    ['DELETE', '/api/delete'],
    ['GET', '/api/blobs/{digest}'],
    ['POST', '/api/blobs/{digest}'],
  ] as const
).map(([method, path]) => ({
  method,
  path,
  docs: {
    summary: 'Not offered: Waggle manages no models',
    ...(path.includes('{') && { params }),
    responses: { 501: { description: 'Not offered', content: { 'application/json': errorObject } } },
    error: errorObject,
  },
  handler: (_request, response) => response.json(501, { error }),
}));
