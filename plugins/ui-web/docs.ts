import type { RouteDocs } from '#kernel';
import { z } from '#zod';
import type { inspection } from './inspection.js';

const text = z.string();
const count = z.int().min(0);
const measure = z.number().min(0);
const names = z.array(text);
const known = { description: 'The client has it already', content: {} };

/** `GET /ui` */
export const chatDocs: RouteDocs = {
  summary: 'A page to chat with the agents',
  responses: { 200: { description: 'A page', content: { 'text/html': text } }, 304: known },
};

/** `GET /ui/inspector` */
export const inspectorDocs: RouteDocs = {
  summary: 'A page that shows what goes on in this server',
  responses: { 200: { description: 'A page', content: { 'text/html': text } }, 304: known },
};

/** `GET /ui/{version}/{folder}/{file}` */
export const assetDocs: RouteDocs = {
  summary: 'What the pages load',
  responses: {
    200: {
      description: 'A file that never changes',
      content: { 'text/css': text, 'text/javascript': text, 'image/svg+xml': text },
    },
    304: known,
  },
};

const counts = {
  running: count,
  waiting: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  rejected: count,
};

const state = z.object({
  server: z.object({
    version: text,
    state: z.enum(['idle', 'starting', 'ready', 'degraded', 'draining', 'stopping', 'stopped', 'failed']),
    uptimeMs: count,
    rssBytes: count,
    heapBytes: count,
  }),
  plugins: z.array(
    z.object({
      id: text,
      name: text,
      version: text.exactOptional(),
      state: z.enum(['pending', 'starting', 'active', 'stopping', 'stopped', 'failed']),
      optional: z.boolean(),
      setupMs: measure,
      registered: z.object({
        ...{ routes: names, agents: names, tasks: names, services: names, events: names },
        others: count.describe('Things of other kinds: timers, sockets, hooks'),
      }),
    }),
  ),
  connections: z.object({
    ...{ open: count, limit: count, opened: count, refused: count },
    paths: z.record(text, count).describe('Open ones by endpoint'),
    closed: z.record(text, count).describe('By close code, since the start'),
  }),
  streams: z
    .object({
      running: count,
      waiting: count,
      kept: count.describe('Ended, and still readable'),
      readers: count,
      tokens: count.describe('Pieces of answers, since the start'),
      ended: z.object({ finished: count, failed: count, cancelled: count }).describe('Since the start'),
      replies: z
        .array(
          z.object({
            number: count.describe('Counts up from 1; it opens nothing'),
            agent: text,
            state: z.enum(['running', 'finished', 'failed', 'cancelled']),
            durationMs: count,
            outputTokens: count.exactOptional(),
            code: text.exactOptional(),
          }),
        )
        .describe('The newest first'),
    })
    .exactOptional(),
  queue: z
    .object({
      ...counts,
      delayed: count,
      queued: z.object({ low: count, normal: count, high: count, urgent: count }),
    })
    .exactOptional(),
  workers: z.object({ alive: count, busy: count, lost: count }).exactOptional(),
  tasks: z
    .array(
      z.object({
        name: text,
        lane: z.enum(['main', 'worker']),
        counts: z.object({ submitted: count, ...counts }).exactOptional(),
      }),
    )
    .exactOptional(),
  samples: z
    .array(
      z.object({
        tokensPerSecond: measure,
        running: count,
        waiting: count,
        lagMs: measure.describe('How late the event loop was, 99th percentile'),
      }),
    )
    .describe('One a second, oldest first; none is taken while nobody asks'),
}) satisfies z.ZodType<ReturnType<typeof inspection>>;

/** `GET /ui/state` */
export const stateDocs: RouteDocs = {
  summary: 'What the inspector shows: plugins, connections, streams, queue, and the last two minutes',
  responses: { 200: { description: 'As it is now', content: { 'application/json': state } } },
};
