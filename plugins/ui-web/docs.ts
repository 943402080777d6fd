import { cancelReceipt, kernelStates, pluginStates, type RouteDocs } from '#kernel';
import { z } from '#zod';
import type { stateOfAll } from './all-shards.js';
import type { inspection } from './inspection.js';

const text = z.string();
const count = z.int().min(0);
const measure = z.number().min(0);
const names = z.array(text);
const known = { description: 'Not modified', content: {} };

/** `GET /ui` */
export const chatDocs: RouteDocs = {
  summary: 'The chat page',
  responses: { 200: { description: 'An HTML page', content: { 'text/html': text } }, 304: known },
};

/** The body of `POST /ui/session`. A browser keeps no cookie for a longer token. */
export const sessionBody = z.strictObject({
  token: z.string().trim().min(1).max(2900).describe('A key or token, as in `Authorization: Bearer`'),
});

export const signedIn = z.object({
  user_id: text,
  expires_at: count.describe('End of the session, in milliseconds since 1970'),
});

/** `POST /ui/session` */
export const signInDocs: RouteDocs = {
  summary: 'Signs a browser in: the response sets a session cookie',
  body: sessionBody,
  responses: { 200: { description: 'Signed in', content: { 'application/json': signedIn } } },
  errors: ['UNAUTHORIZED', 'FORBIDDEN'],
};

/** `DELETE /ui/session` */
export const signOutDocs: RouteDocs = {
  summary: 'Signs a browser out: its cookie and all copies of it are no longer accepted',
  responses: { 204: { description: 'Signed out', content: {} } },
  errors: ['FORBIDDEN'],
};

/** `GET /ui/inspector` */
export const inspectorDocs: RouteDocs = {
  summary: 'The inspector page, with the state of the server',
  responses: { 200: { description: 'An HTML page', content: { 'text/html': text } }, 304: known },
};

/** `GET /ui/{version}/{folder}/{file}` */
export const assetDocs: RouteDocs = {
  summary: 'A file of the pages',
  responses: {
    200: {
      description: 'An immutable file',
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

const plugin = z.object({
  id: text,
  name: text,
  version: text.exactOptional(),
  state: z.enum(pluginStates),
  optional: z.boolean(),
  setupMs: measure,
  registered: z.object({
    ...{ routes: names, agents: names, tasks: names, services: names, events: names },
    others: count.describe('Number of other effects: timers, sockets, hooks'),
  }),
});

/** A plugin without anything that is only for operators. */
export type PluginView = Readonly<z.infer<typeof plugin>>;

const reply = z.object({
  number: count.describe('Sequence number since the start, from 1; it gives no access to the reply'),
  id: text.describe('The beginning of its id, as in the log'),
  user: text.describe('Left out in an open server, where it would give access').exactOptional(),
  agent: text,
  model: text.describe('As requested').exactOptional(),
  state: z.enum(['running', 'finished', 'failed', 'cancelled']),
  phase: z.enum(['waiting', 'starting', 'streaming']).describe('Of a running reply').exactOptional(),
  quietMs: count.describe('Since its newest piece of content').exactOptional(),
  readers: count.exactOptional(),
  durationMs: count,
  outputTokens: count.exactOptional(),
  code: text.describe('Error code of a failed reply').exactOptional(),
});

/** A reply without its id, which would allow reading and cancelling it. */
export type ReplyView = Readonly<z.infer<typeof reply>>;

const sample = z.object({
  tokensPerSecond: measure,
  running: count.describe('Running replies'),
  waiting: count.describe('Queued replies and tasks'),
  lagMs: measure.describe('Event-loop delay, 99th percentile'),
});

/** Load over one second. */
export type Sample = Readonly<z.infer<typeof sample>>;

const server = z.object({
  version: text,
  state: z.enum(kernelStates),
  uptimeMs: count,
  rssBytes: count,
  heapBytes: count,
});

const state = z.object({
  server,
  plugins: z.array(plugin),
  connections: z.object({
    ...{ open: count, limit: count, opened: count, refused: count },
    paths: z.record(text, count).describe('Open connections by endpoint'),
    closed: z.record(text, count).describe('Closed connections by close code, since the start'),
  }),
  streams: z
    .object({
      running: count,
      waiting: count,
      kept: count.describe('Ended and still readable'),
      readers: count,
      tokens: count.describe('Content chunks since the start'),
      ended: z.object({ finished: count, failed: count, cancelled: count }).describe('Since the start'),
      replies: z.array(reply).describe('Newest first'),
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
  samples: z.array(sample).describe('One per second, oldest first; taken only while this route is polled'),
  shards: z
    .array(
      z.object({
        shard: count,
        server: server.exactOptional(),
        connections: count.describe('Open WebSockets').exactOptional(),
      }),
    )
    .describe(
      'Of a server with several processes: each of them, alone with its number where it has not answered in time',
    )
    .exactOptional(),
}) satisfies z.ZodType<ReturnType<typeof inspection> | ReturnType<typeof stateOfAll>>;

/** The path of `DELETE /ui/replies/{number}`. */
export const cancelParams = z.object({ number: z.string().regex(/^\d{1,15}$/, 'expected a number') });

export const cancelResponse = z.object({ cancelled: z.literal(true), ...cancelReceipt.shape });

/** `DELETE /ui/replies/{number}` */
export const cancelDocs: RouteDocs = {
  summary: 'Cancels a running reply, by its number in the inspector',
  params: cancelParams,
  responses: { 200: { description: 'Cancelled', content: { 'application/json': cancelResponse } } },
  errors: ['STREAM_UNKNOWN', 'INVALID_REQUEST', 'DEADLINE_EXCEEDED'],
};

/** `GET /ui/state` */
export const stateDocs: RouteDocs = {
  summary: 'Data of the inspector: plugins, connections, streams, queue, and the last two minutes',
  responses: { 200: { description: 'The current state', content: { 'application/json': state } } },
};
