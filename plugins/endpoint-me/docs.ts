import type { RouteDocs } from '#kernel';
import { z } from '#zod';

const limit = z.object({
  limit: z.number(),
  left: z.number(),
  resetMs: z.number().describe('Until all of it is there again').exactOptional(),
});

export const me = z.object({
  user_id: z.string().nullable().describe('null in an open server, which takes users at their word'),
  scopes: z.array(z.string()),
  expires_at: z.number().describe('End of the credentials, in milliseconds since 1970').exactOptional(),
  limits: z.object({
    requestsPerMinute: limit.exactOptional(),
    repliesAtOnce: limit.exactOptional(),
    tokensPerDay: limit.exactOptional(),
  }),
});

/** `GET /me` */
export const meDocs: RouteDocs = {
  summary: 'The user of the credentials, and what is left of the limits',
  responses: { 200: { description: 'The user', content: { 'application/json': me } } },
};
