import {
  type ChatStreams,
  type ContextReport,
  type HttpRequest,
  type HttpResponse,
  type Reply,
  type ReplyReader,
  WaggleError,
} from '#kernel';
import { agentHeader, traceContextIn } from '#sdk';
import type { z } from '#zod';
import { readCommand, readPosition } from './body.js';
import type { cancelResponse, wholeAnswer } from './docs.js';
import { EncodedReply } from './encoded-reply.js';
import { encodingFor } from './encoding.js';

type Handler = (streams: ChatStreams, request: HttpRequest, response: HttpResponse) => Promise<void>;
type StreamHandler = (...all: [...Parameters<Handler>, heartbeatMs: number]) => Promise<void>;

/** `POST /chat`: the complete answer as one JSON object. */
export const answerWhole: Handler = async (streams, request, response) => {
  const command = await readCommand(request);
  // Without a request_id the client cannot come back for it.
  const onDisconnect = command.onDisconnect ?? (command.requestId ? 'continue' : 'cancel');
  const reply = await streams.start({
    ...command,
    endpoint: 'POST /chat',
    onDisconnect,
    ...traceContextIn(request),
  });
  const { content, agent, usage, toolCalls, context, truncated } = await reply.whole(request.signal);
  const answer = {
    response: content,
    agent,
    conversation_id: reply.conversationId,
    ...(usage && { usage }),
    ...(toolCalls && { tool_calls: toolCalls }),
    ...(context && { context: contextOf(context) }),
    ...(truncated && { truncated }),
  } satisfies z.infer<typeof wholeAnswer>;
  response.json(200, answer, agentHeader(agent));
};

/** `POST /chat/stream`: frames as they arrive. A failure before the first one is a JSON error. */
export const answerStream: StreamHandler = async (streams, request, response, heartbeatMs) => {
  const command = await readCommand(request);
  const reply = await streams.start({
    ...command,
    endpoint: 'POST /chat/stream',
    ...traceContextIn(request),
  });
  await send(reply, reply.read(), request, response, heartbeatMs);
};

/** `GET /chat/stream/{stream_id}`: everything after a position. @throws STREAM_GONE */
export const resumeStream: StreamHandler = async (streams, request, response, heartbeatMs) => {
  const streamId = request.params.stream_id as string;
  const lastEventId = request.header('last-event-id') || undefined;
  // Takes precedence: EventSource sends it when it reconnects, and cannot change its address.
  const position = await readPosition(lastEventId ?? request.query.get('position') ?? undefined);
  const reply = await streams.find(streamId, request.principal);
  if (!reply) throw new WaggleError('STREAM_GONE', { streamId });
  const isEventSource = lastEventId !== undefined && encodingFor(request.header('accept')).isEventStream;
  // EventSource reconnects after the end as well; only a 204 stops it.
  if (isEventSource && reply.wasRead && position === reply.position)
    response.send(204, '', { 'x-stream-id': streamId });
  else await send(reply, reply.read(position), request, response, heartbeatMs);
};

/** `DELETE /chat/stream/{stream_id}`: responds when the connection to the model is closed. @throws STREAM_UNKNOWN */
export const cancelStream: Handler = async (streams, request, response) => {
  const streamId = request.params.stream_id as string;
  const reply = await streams.find(streamId, request.principal);
  const receipt = await reply?.cancel('client');
  if (!receipt) throw new WaggleError('STREAM_UNKNOWN', { streamId });
  response.json(200, { cancelled: true, ...receipt } satisfies z.infer<typeof cancelResponse>);
};

function contextOf({ droppedMessages, ...rest }: ContextReport) {
  return { ...rest, dropped_messages: droppedMessages };
}

async function send(
  reply: Reply,
  reader: ReplyReader,
  request: HttpRequest,
  response: HttpResponse,
  heartbeatMs: number,
): Promise<void> {
  const encoding = encodingFor(request.header('accept'));
  const headers = { ...encoding.headers, 'x-stream-id': reply.streamId };
  await response.stream(200, headers, new EncodedReply(reply, reader, encoding, heartbeatMs));
}
