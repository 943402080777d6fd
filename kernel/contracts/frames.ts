import type { StandardSchemaV1 } from '@standard-schema/spec';
import { z } from '#zod';
import { type ClientErrorCode, clientErrorCodes } from '../errors.js';
import { endingToolCall } from './chat-fields.js';
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
const callId = z.string().describe('The id of the tool call');
const toolArguments = {
  arguments: z.unknown().describe('The JSON of the model, unchanged').exactOptional(),
  argumentsText: z.string().describe('Replaces `arguments` if the model did not write JSON').exactOptional(),
};
const errorCode = z.enum(clientErrorCodes as [ClientErrorCode]);

const context = z
  .object({
    tokens: count.describe('Tokens that the model is sent, by estimate').exactOptional(),
    window: count.describe('The context window of the model in tokens').exactOptional(),
    droppedMessages: count.describe('Messages of the conversation that are left out, the oldest ones'),
  })
  .describe('What the model gets of the conversation, as far as it is known')
  .exactOptional();
const truncated = z.literal(true).describe('The model has read less than it was sent').exactOptional();

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

/** The agents and tools that a cancel has stopped. */
export const cancelReceipt = z.object({
  upstreamClosedMs: milliseconds.describe(
    'Time from the cancel until the connection to the model was closed',
  ),
  stopped: z
    .object({ agents: count, tools: count })
    .describe('The number of agents and of tools that have stopped'),
  unstopped: z
    .array(z.string())
    .describe('Agents and tools that have ignored the cancel so far; nothing of them is read any more')
    .exactOptional(),
});

/** The end of a stream: exactly one of these frames. */
export const terminalFrame = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('streaming_end'),
      streamId,
      reason: z.string().describe('`stop`, `length`, `tool_calls` or another reason given by the model'),
      agent,
      usage: usage.exactOptional(),
      truncated,
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
      toolCalls: z
        .array(endingToolCall)
        .describe("Calls of the client's own tools, with which the answer ends")
        .exactOptional(),
      context,
      truncated,
    })
    .describe('The complete answer'),
  z
    .object({
      type: z.literal('cancelled'),
      streamId,
      reason: cancelReason,
      ...cancelReceipt.shape,
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
      context,
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
      id: callId,
      name: z.string(),
      ...toolArguments,
      executor: z
        .enum(['server', 'client'])
        .describe('Who runs the tool: the server, or the client, which answers with `tool_result`')
        .exactOptional(),
    })
    .describe('A tool call requested by the model'),
  z
    .object({
      type: z.literal('streaming_tool_result'),
      streamId,
      id: callId,
      name: z.string(),
      output: z.unknown().describe('The result, if the tool gave one').exactOptional(),
      error: z.object({ code: z.string(), message: z.string() }).exactOptional(),
      durationMs: milliseconds,
    })
    .describe('The result of a tool, as the model gets it'),
  z
    .object({
      type: z.literal('streaming_agent'),
      streamId,
      agent: z.string(),
      via: z
        .enum(['consult', 'handover'])
        .describe('`consult`: it answers the parent. `handover`: it answers in its place'),
      state: z.enum(['started', 'ended', 'failed']),
      parent: z.string().describe('The agent that has asked'),
    })
    .describe('An agent works for another one'),
  z
    .object({
      type: z.literal('approval_required'),
      streamId,
      id: callId,
      name: z.string(),
      ...toolArguments,
      expiresInMs: milliseconds,
    })
    .describe('A person has to allow a tool call, with `approve`'),
  z
    .object({
      type: z.literal('approval_resolved'),
      streamId,
      id: callId,
      allow: z.boolean(),
      by: z.string().describe('The user; absent if the time was over').exactOptional(),
    })
    .describe('The answer to `approval_required`'),
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
  z
    .object({
      type: z.literal('stream_available'),
      streamId,
      conversationId,
      agent,
      question: z.string().describe('The message that is answered, if it is a text').exactOptional(),
      replaces: z.int().describe('The number of the question whose place it takes').exactOptional(),
    })
    .describe('Another connection of the user, or the server, has started a reply, which may be resumed'),
  z
    .object({
      type: z.literal('notification'),
      seq: count.describe('Grows with each notification; numbers between belong to other users'),
      topic: z.string(),
      data: z.unknown().describe('Any JSON'),
    })
    .describe('A message of a plugin or an operator, outside of any reply'),
  z
    .object({ type: z.literal('inbox'), seq: count.describe('The newest number so far') })
    .describe('Response to `inbox` without `after`, or with one that is higher than any number so far'),
  z
    .object({ type: z.literal('inbox_gap'), from: count, to: count })
    .describe('Notifications from the first to the last of these numbers are no longer kept'),
]);

/** The same by `type`. */
export const serverFrames: Readonly<Record<string, StandardSchemaV1>> = Object.fromEntries(
  serverFrame.options.map((frame) => [frame.shape.type.value, frame]),
);

declare module './bus.js' {
  interface KernelEvents {
    /** A frame from a client was accepted. */
    'message:received': { readonly connection: string; readonly clientId: string; readonly type: string };
    /** A frame from a client was refused with an error. */
    'message:refused': { readonly connection: string; readonly clientId: string; readonly code: string };
  }
}
