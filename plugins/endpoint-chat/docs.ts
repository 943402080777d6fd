import { type ClientErrorCode, type RouteDocs, streamFrame, traceHeaders, usage } from '#kernel';
import { z } from '#zod';
import { chatBody, resumeQuery } from './body.js';

/** The response of `POST /chat`. */
export const wholeAnswer = z.object({
  response: z.string(),
  agent: z.string().describe('The agent that answered'),
  conversation_id: z.string().describe('Send it with the next request to continue this conversation'),
  usage: usage.exactOptional(),
});

/** The response of a cancel. */
export const cancelReceipt = z.object({
  cancelled: z.literal(true),
  upstreamClosedMs: z
    .number()
    .min(0)
    .describe('Time from the cancel until the connection to the model was closed'),
});

const frames = {
  description:
    'Frames as they arrive, ending with `streaming_end`, `message`, `cancelled` or `error`: as Server-Sent Events with ' +
    'the position as `id`, or one per line with `Accept: application/x-ndjson`. `X-Stream-Id` identifies the stream.',
  content: { 'text/event-stream': streamFrame, 'application/x-ndjson': streamFrame },
};
const beforeTheStart: readonly ClientErrorCode[] = ['AGENT_UNKNOWN', 'AGENT_UNAVAILABLE', 'AGENT_TIMEOUT'];
const refusals: readonly ClientErrorCode[] = ['IDEMPOTENCY_MISMATCH', 'QUEUE_FULL', 'SHUTTING_DOWN'];

/** `POST /chat` */
export const wholeDocs: RouteDocs = {
  summary: 'Ask and get the complete answer',
  headers: traceHeaders,
  body: chatBody,
  responses: { 200: { description: 'The answer', content: { 'application/json': wholeAnswer } } },
  errors: [
    ...beforeTheStart,
    'AGENT_DISCONNECTED',
    'AGENT_FAILED',
    'AGENT_PROTOCOL',
    'CONTEXT_TOO_LONG',
    ...refusals,
    'DEADLINE_EXCEEDED',
  ],
};

/** `POST /chat/stream` */
export const streamDocs: RouteDocs = {
  summary: 'Ask and stream the answer',
  headers: traceHeaders,
  body: chatBody,
  responses: { 200: frames },
  errors: [...beforeTheStart, ...refusals, 'DEADLINE_EXCEEDED'],
};

/** `GET /chat/stream/{stream_id}` */
export const resumeDocs: RouteDocs = {
  summary: 'Resume a stream after a lost connection, or read it again',
  query: resumeQuery,
  headers: z.object({
    'Last-Event-ID': resumeQuery.shape.position.describe(
      'Sent by EventSource when it reconnects; takes precedence over `position`',
    ),
  }),
  responses: {
    200: frames,
    204: { description: 'Nothing follows `Last-Event-ID`, so that EventSource stops', content: {} },
  },
  errors: [...beforeTheStart, 'INVALID_REQUEST', 'STREAM_GONE', 'DEADLINE_EXCEEDED'],
};

/** `DELETE /chat/stream/{stream_id}` */
export const cancelDocs: RouteDocs = {
  summary: 'Cancel a stream; responds when the model has stopped',
  responses: {
    200: { description: 'The stream is cancelled', content: { 'application/json': cancelReceipt } },
  },
  errors: ['STREAM_UNKNOWN', 'DEADLINE_EXCEEDED'],
};
