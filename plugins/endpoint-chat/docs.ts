import {
  type ClientErrorCode,
  cancelReceipt,
  endingToolCall,
  type RouteDocs,
  streamFrame,
  traceHeaders,
  usage,
} from '#kernel';
import { z } from '#zod';
import { chatBody, resumeQuery } from './body.js';

// Not in the schema that checks: its own words say it better.
const body = chatBody.meta({ anyOf: [{ required: ['content'] }, { required: ['tool_results'] }] });

/** The response of `POST /chat`. */
export const wholeAnswer = z.object({
  response: z.string(),
  agent: z.string().describe('The agent that answered'),
  conversation_id: z.string().describe('Send it with the next request to continue this conversation'),
  usage: usage.exactOptional(),
  tool_calls: z
    .array(endingToolCall)
    .describe("Calls of the client's own tools, with which the answer ends; send `tool_results` to continue")
    .exactOptional(),
  context: z
    .object({
      tokens: z.number().exactOptional(),
      window: z.number().exactOptional(),
      dropped_messages: z.number(),
    })
    .describe(
      'Tokens that the model was sent, its context window, and messages that were left out, as far as known',
    )
    .exactOptional(),
  truncated: z.literal(true).describe('The model has read less than it was sent').exactOptional(),
});

/** The response of a cancel. */
export const cancelResponse = z.object({ cancelled: z.literal(true), ...cancelReceipt.shape });

const frames = {
  description:
    'Frames as they arrive, ending with `streaming_end`, `message`, `cancelled` or `error`: as Server-Sent Events with ' +
    'the position as `id`, or one per line with `Accept: application/x-ndjson`. `X-Stream-Id` identifies the stream.',
  content: { 'text/event-stream': streamFrame, 'application/x-ndjson': streamFrame },
};
const beforeTheStart: readonly ClientErrorCode[] = [
  ...(['AGENT_UNKNOWN', 'AGENT_UNAVAILABLE', 'AGENT_TIMEOUT', 'MESSAGE_UNKNOWN'] as const),
];
const refusals: readonly ClientErrorCode[] = ['BUSY', 'IDEMPOTENCY_MISMATCH', 'QUEUE_FULL', 'SHUTTING_DOWN'];

/** `POST /chat` */
export const wholeDocs: RouteDocs = {
  summary: 'Ask and get the complete answer',
  headers: traceHeaders,
  body,
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
  body,
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
    200: { description: 'The stream is cancelled', content: { 'application/json': cancelResponse } },
  },
  errors: ['STREAM_UNKNOWN', 'DEADLINE_EXCEEDED'],
};
