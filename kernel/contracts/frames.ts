import type { StandardSchemaV1 } from '@standard-schema/spec';
import { z } from '#zod';
import { type ClientErrorCode, clientErrorCodes } from '../errors.js';
import { usage } from './usage.js';

const count = z.int().min(0);
const milliseconds = z.number().min(0);
const streamId = z.string().describe('A capability: whoever has it may resume or cancel the stream');
const agent = z.string().describe('Who answers');
const conversationId = z.string().describe('Give it back to go on with this conversation');
const requestId = z.string().describe('As given').exactOptional();
const taskId = z.string().describe('A capability: whoever has it may look at or cancel the run');
const position = count
  .describe('UTF-16 code units of all content up to here; when asked for')
  .exactOptional();
const errorCode = z.enum(clientErrorCodes as [ClientErrorCode]);

/** Milliseconds since the request was accepted. */
export const timings = z.object({
  queuedMs: milliseconds,
  firstTokenMs: milliseconds.exactOptional(),
  totalMs: milliseconds,
});

/** Why a stream was cancelled. */
export const cancelReason = z
  .enum(['client', 'disconnected', 'abandoned', 'shutdown'])
  .describe('Who or what cancelled it; `abandoned` when nobody came back in time');

/** How every stream ends, with exactly one of these. */
export const terminalFrame = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('streaming_end'),
      streamId,
      reason: z.string().describe('`stop`, `length`, `tool_calls` or what the model says'),
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
      streamId: streamId.describe('When it ends a stream, whose first agent had failed').exactOptional(),
      requestId,
      usage: usage.exactOptional(),
    })
    .describe('The whole answer as one piece'),
  z
    .object({
      type: z.literal('cancelled'),
      streamId,
      reason: cancelReason,
      upstreamClosedMs: milliseconds.describe("After the cancel, until the model's socket was closed"),
    })
    .describe('The stream was cancelled'),
  z
    .object({
      type: z.literal('error'),
      code: errorCode,
      message: z.string().describe('For people'),
      streamId: streamId.describe('Absent when there was no streaming_start').exactOptional(),
      taskId: taskId.describe('When it ends a task').exactOptional(),
      requestId,
      retryAfterMs: z.number().describe('When to try again, where that helps').exactOptional(),
    })
    .describe('The request could not be read, or the stream failed'),
]);

/** What a reader of a reply gets: `streaming_start` first, then content, then exactly one terminal frame. */
export const streamFrame = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('queue_update'),
      streamId: streamId.exactOptional(),
      taskId: taskId.exactOptional(),
      ahead: count.describe('How many are before it'),
      requestId,
    })
    .describe('Before the start, while the reply or the task waits for its turn'),
  z
    .object({
      type: z.literal('streaming_start'),
      streamId,
      agent,
      conversationId,
      requestId,
      resumed: z.literal(true).describe('What follows begins at the position that was named').exactOptional(),
    })
    .describe('The reply begins'),
  z
    .object({ type: z.literal('streaming_token'), streamId, content: z.string(), position })
    .describe('A piece of the answer, never the accumulated text'),
  z
    .object({ type: z.literal('streaming_thinking'), streamId, content: z.string(), position })
    .describe("A piece of a model's reasoning"),
  z
    .object({
      type: z.literal('streaming_tool_call'),
      streamId,
      id: z.string(),
      name: z.string(),
      arguments: z.unknown().describe('JSON as the model wrote it, to the digit').exactOptional(),
      argumentsText: z
        .string()
        .describe('In its place, where what the model wrote is not JSON')
        .exactOptional(),
      executor: z
        .enum(['server', 'client'])
        .describe('Who runs it: the agent itself, or whoever asked')
        .exactOptional(),
    })
    .describe('A tool that the model wants to be called'),
  ...terminalFrame.options,
]);

/** Every frame that a WebSocket client may get. */
export const serverFrame = z.discriminatedUnion('type', [
  ...streamFrame.options,
  z
    .object({
      type: z.literal('server_draining'),
      deadlineMs: count.describe('How long running replies may still take'),
    })
    .describe('The server is about to stop'),
  z
    .object({ type: z.literal('task_accepted'), taskId, requestId })
    .describe('The task will run, or runs already'),
  z
    .object({
      type: z.literal('task_progress'),
      taskId,
      requestId,
      progress: z.unknown().describe('What the task tells'),
      partial: z
        .literal(true)
        .describe('A part of the result: all of them come, in order; of anything else the newest')
        .exactOptional(),
    })
    .describe('The task runs'),
  z
    .object({ type: z.literal('task_result'), taskId, requestId, output: z.unknown() })
    .describe('The task has ended well'),
  z.object({ type: z.literal('pong') }).describe('The answer to ping'),
]);

/** The same by `type`. */
export const serverFrames: Readonly<Record<string, StandardSchemaV1>> = Object.fromEntries(
  serverFrame.options.map((frame) => [frame.shape.type.value, frame]),
);

declare module '../bus.js' {
  interface KernelEvents {
    /** A frame of a client was read. */
    'message:received': { readonly connection: string; readonly clientId: string; readonly type: string };
    /** A frame of a client was answered with an error. */
    'message:refused': { readonly connection: string; readonly clientId: string; readonly code: string };
  }
}
