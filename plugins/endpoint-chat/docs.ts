import { type ClientErrorCode, type RouteDocs, streamFrame, traceHeaders, usage } from '#kernel';
import { z } from '#zod';
import { chatBody, resumeQuery } from './body.js';

/** What `POST /chat` answers. */
export const wholeAnswer = z.object({
  response: z.string(),
  agent: z.string().describe('Who answered'),
  conversation_id: z.string().describe('Give it back to go on with this conversation'),
  usage: usage.exactOptional(),
});

/** What a cancel answers. */
export const cancelReceipt = z.object({
  cancelled: z.literal(true),
  upstreamClosedMs: z.number().min(0).describe("After the cancel, until the model's socket was closed"),
});

const frames = {
  description:
    'Frames as they come, ending with `streaming_end`, `message`, `cancelled` or `error`: as Server-Sent Events, whose ' +
    '`id` is the position, or one a line with `Accept: application/x-ndjson`. `X-Stream-Id` names the stream.',
  content: { 'text/event-stream': streamFrame, 'application/x-ndjson': streamFrame },
};
const beforeTheStart: readonly ClientErrorCode[] = ['AGENT_UNKNOWN', 'AGENT_UNAVAILABLE', 'AGENT_TIMEOUT'];
const refusals: readonly ClientErrorCode[] = ['IDEMPOTENCY_MISMATCH', 'QUEUE_FULL', 'SHUTTING_DOWN'];

/** `POST /chat` */
export const wholeDocs: RouteDocs = {
  summary: 'Ask, and get the whole answer',
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
  summary: 'Ask, and get the answer as it comes',
  headers: traceHeaders,
  body: chatBody,
  responses: { 200: frames },
  errors: [...beforeTheStart, ...refusals, 'DEADLINE_EXCEEDED'],
};

/** `GET /chat/stream/{stream_id}` */
export const resumeDocs: RouteDocs = {
  summary: 'Go on with a stream after a lost connection, or read it once more',
  query: resumeQuery,
  headers: z.object({
    'Last-Event-ID': resumeQuery.shape.position.describe(
      'What EventSource sends from its second try on; it comes before `position`',
    ),
  }),
  responses: {
    200: frames,
    204: { description: 'Nothing follows `Last-Event-ID`: EventSource stops', content: {} },
  },
  errors: [...beforeTheStart, 'INVALID_REQUEST', 'STREAM_GONE', 'DEADLINE_EXCEEDED'],
};

/** `DELETE /chat/stream/{stream_id}` */
export const cancelDocs: RouteDocs = {
  summary: 'Cancel a stream; answers when the model has stopped',
  responses: { 200: { description: 'It is cancelled', content: { 'application/json': cancelReceipt } } },
  errors: ['STREAM_UNKNOWN', 'DEADLINE_EXCEEDED'],
};
