import type { RouteDocs } from '#kernel';
import { z } from '#zod';

const count = z.int().min(0);
const measure = z.number().min(0);

const ofOne = z.object({
  uptimeMs: count,
  connections: z.object({ open: count, limit: count }).exactOptional(),
  streams: z
    .object({
      running: count,
      waiting: count.describe('In the queue'),
      kept: count.describe('Ended and still readable'),
      readers: count,
      tokensPerSecond: measure.describe('Content chunks per second in the last interval'),
    })
    .exactOptional(),
  tasks: z
    .object({
      running: count,
      waiting: count.describe('Queued or delayed'),
      queued: z
        .object({ low: count, normal: count, high: count, urgent: count })
        .describe('Queued runs by priority'),
      failed: count.describe('Since the start'),
      rejected: count.describe('Since the start'),
      perSecond: measure.describe('Ended runs per second in the last interval, whatever the outcome'),
    })
    .exactOptional(),
  workers: z
    .object({ alive: count, busy: count, lost: count.describe('Since the start') })
    .describe('Worker threads')
    .exactOptional(),
  eventLoop: z
    .object({ p50Ms: measure, p99Ms: measure, maxMs: measure })
    .describe('Event-loop delay in the last interval'),
  memory: z.object({ rssMb: measure, heapMb: measure }).describe('In MiB'),
});

const stats = ofOne.extend({
  shards: z
    .array(z.object({ shard: count, stats: ofOne.exactOptional() }))
    .describe(
      'Of a server with several processes: each of them, without `stats` where it has not answered in time',
    )
    .exactOptional(),
});

/** Load of the server. Rates and lag cover the last full interval, or the time since the start during the first one. */
export type Stats = Readonly<z.infer<typeof stats>>;

export const statsDocs: RouteDocs = {
  summary: 'Load of the server',
  responses: {
    200: {
      description: 'The current values; those of absent plugins are left out',
      content: { 'application/json': stats },
    },
  },
};
