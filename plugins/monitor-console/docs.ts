import type { RouteDocs } from '#kernel';
import { z } from '#zod';
import type { Stats } from './stats.js';

const count = z.int().min(0);
const measure = z.number().min(0);

const stats = z.object({
  uptimeMs: count,
  connections: z.object({ open: count, limit: count }).exactOptional(),
  streams: z
    .object({
      running: count,
      waiting: count.describe('For their turn'),
      kept: count.describe('Ended, and still readable'),
      readers: count,
      tokensPerSecond: measure.describe('Pieces of answers, in the last interval'),
    })
    .exactOptional(),
  tasks: z
    .object({
      running: count,
      waiting: count.describe('For their turn or for a delay to be over'),
      queued: z
        .object({ low: count, normal: count, high: count, urgent: count })
        .describe('Waiting for their turn, by priority'),
      failed: count.describe('Since the start'),
      rejected: count.describe('Since the start'),
      perSecond: measure.describe('Ended in whatever way, in the last interval'),
    })
    .exactOptional(),
  workers: z
    .object({ alive: count, busy: count, lost: count.describe('Since the start') })
    .describe('The threads that tasks run on')
    .exactOptional(),
  eventLoop: z
    .object({ p50Ms: measure, p99Ms: measure, maxMs: measure })
    .describe('How late the event loop was in the last interval'),
  memory: z.object({ rssMb: measure, heapMb: measure }).describe('In units of 1024 × 1024 bytes'),
}) satisfies z.ZodType<Stats>;

/** `GET /stats` */
export const statsDocs: RouteDocs = {
  summary: 'How much is going on',
  responses: {
    200: {
      description: 'The figures of now; those of a plugin that does not run are absent',
      content: { 'application/json': stats },
    },
  },
};
