import type { RouteDocs } from '#kernel';
import { z } from '#zod';
import { eventNames } from './webhook-events.js';

const count = z.int().min(0);

/** The response of `GET /webhooks`. */
export const webhookList = z.object({
  endpoints: z.array(
    z.object({
      name: z.string(),
      waiting: count.describe('Messages that are not delivered yet'),
      delivered: count,
      failed: count.describe('Messages that were given up after all tries'),
      dropped: count.describe('Messages that were not sent because too many waited'),
      deadLetters: z
        .array(
          z.object({
            id: z.string().describe('The `webhook-id`'),
            type: z.enum(eventNames),
            attempts: count,
            reason: z.string().describe('Why the last try failed'),
            at: z.int().describe('The time of it, in milliseconds since 1970'),
          }),
        )
        .describe('Messages that were given up, the newest last'),
    }),
  ),
});

/** `GET /webhooks` */
export const listDocs: RouteDocs = {
  summary: 'Webhooks: what was delivered, what waits, and what was given up',
  responses: { 200: { description: 'The endpoints', content: { 'application/json': webhookList } } },
};
