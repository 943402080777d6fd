import type { StandardSchemaV1 } from '@standard-schema/spec';
import { z } from '#zod';
import { type ClientErrorCode, clientErrorCodes } from '../errors.js';
import { usage } from './usage.js';

const count = z.int().min(0);
const milliseconds = z.number().min(0);
const streamId = z.string().describe('A secret: it gives access to the stream, to resume and to cancel it');
const agent = z.string().describe('The agent that answers');
const conversationId = z.string().describe('Send it with the next request to continue this conversation');
const requestId = z.string().describe('The `requestId` of the request').exactOptional();
const taskId = z.string().describe('A secret: it gives access to the run, to read and to cancel it');
const position = count
  .describe('UTF-16 code units of all content so far; present on request')
  .exactOptional();
const errorCode = z.enum(clientErrorCodes as [ClientErrorCode]);

/** Milliseconds since the request was accepted. */
export const timings = z.object({
  queuedMs: milliseconds,
  firstTokenMs: milliseconds.exactOptional(),
  totalMs: milliseconds,
});

/** Cause of a cancellation. */
export const cancelReason = z
  .enum(['client', 'disconnected', 'abandoned', 'shutdown'])
  .describe('Cause of the cancellation; `abandoned`: no client resumed in time');

/** The end of a stream: exactly one of these frames. */
export const terminalFrame = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('streaming_end'),
      streamId,
      reason: z.string().describe('`stop`, `length`, `tool_calls` or another reason given by the model'),
      agent,
      usage: usage.exactOptional(),
      timings,
    })
    .describe('The answer is complete'),
  z
    .object({
      type: z.literal('message'),
      content: z.string(),
      agent,
      conversationId,
      streamId: streamId
        .describe('Present if the message ends a stream whose first agent failed')
        .exactOptional(),
      requestId,
      usage: usage.exactOptional(),
    })
    .describe('The complete answer'),
  z
    .object({
      type: z.literal('cancelled'),
      streamId,
      reason: cancelReason,
      upstreamClosedMs: milliseconds.describe(
        'Time from the cancel until the connection to the model was closed',
      ),
    })
    .describe('The stream was cancelled'),
  z
    .object({
      type: z.literal('error'),
      code: errorCode,
      message: z.string().describe('Human-readable text'),
      streamId: streamId.describe('Absent if there was no streaming_start').exactOptional(),
      taskId: taskId.describe('Present if the error ends a task').exactOptional(),
      requestId,
      retryAfterMs: z.number().describe('When to try again, if that may help').exactOptional(),
    })
    .describe('The request was refused, or the stream or task failed'),
]);

/** Frames of a reply: `streaming_start`, then content, then exactly one terminal frame. */
export const streamFrame = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('queue_update'),
      streamId: streamId.exactOptional(),
      taskId: taskId.exactOptional(),
      ahead: count.describe('Number of requests ahead'),
      requestId,
    })
    .describe('Position of a waiting reply or task in the queue'),
  z
    .object({
      type: z.literal('streaming_start'),
      streamId,
      agent,
      conversationId,
      requestId,
      resumed: z.literal(true).describe('The stream continues from the requested position').exactOptional(),
    })
    .describe('The reply begins'),
  z
    .object({ type: z.literal('streaming_token'), streamId, content: z.string(), position })
    .describe('The next part of the answer, never the accumulated text'),
  z
    .object({ type: z.literal('streaming_thinking'), streamId, content: z.string(), position })
    .describe("The next part of the model's reasoning"),
  z
    .object({
      type: z.literal('streaming_tool_call'),
      streamId,
      id: z.string(),
      name: z.string(),
      arguments: z.unknown().describe('The JSON of the model, unchanged').exactOptional(),
      argumentsText: z
        .string()
        .describe('Replaces `arguments` if the model did not write JSON')
        .exactOptional(),
      executor: z
        .enum(['server', 'client'])
        .describe('Who runs the tool: the agent itself, or the client')
        .exactOptional(),
    })
    .describe('A tool call requested by the model'),
  ...terminalFrame.options,
]);

/** Frames to a WebSocket client. */
export const serverFrame = z.discriminatedUnion('type', [
  ...streamFrame.options,
  z
    .object({
      type: z.literal('server_draining'),
      deadlineMs: count.describe('Time left for running replies'),
    })
    .describe('The server is shutting down'),
  z
    .object({ type: z.literal('task_accepted'), taskId, requestId })
    .describe('The task is queued or already running'),
  z
    .object({
      type: z.literal('task_progress'),
      taskId,
      requestId,
      progress: z.unknown().describe('Progress as the task reports it'),
      partial: z
        .literal(true)
        .describe('A part of the result. All parts are sent, in order; of other progress only the latest is')
        .exactOptional(),
    })
    .describe('Progress of a running task'),
  z
    .object({ type: z.literal('task_result'), taskId, requestId, output: z.unknown() })
    .describe('The task succeeded'),
  z
    .object({
      type: z.literal('auth_ok'),
      userId: z.string(),
      scopes: z.array(z.string()),
      expiresAt: z.number().describe('Milliseconds since 1970').exactOptional(),
    })
    .describe('The credentials of an `auth` frame were accepted'),
  z
    .object({
      type: z.literal('auth_expiring'),
      expiresAt: z.number().describe('Milliseconds since 1970'),
    })
    .describe(
      'The credentials end soon: without newer ones in an `auth` frame the connection is closed with 4401',
    ),
  z.object({ type: z.literal('pong') }).describe('Response to `ping`'),
]);

/** The same by `type`. */
export const serverFrames: Readonly<Record<string, StandardSchemaV1>> = Object.fromEntries(
  serverFrame.options.map((frame) => [frame.shape.type.value, frame]),
);

declare module '../bus.js' {
  interface KernelEvents {
    /** A frame from a client was accepted. */
    'message:received': { readonly connection: string; readonly clientId: string; readonly type: string };
    /** A frame from a client was refused with an error. */
    'message:refused': { readonly connection: string; readonly clientId: string; readonly code: string };
  }
}
