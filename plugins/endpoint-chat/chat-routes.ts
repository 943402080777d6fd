import type { ChatStreams, HttpReply, HttpRequest, Reply } from '#kernel';
import { readCommand } from './body.js';
import { encoded, encodingFor } from './encoding.js';

/** `POST /chat`: the whole answer as one JSON object. */
export async function answerWhole(
  streams: ChatStreams,
  request: HttpRequest,
  response: HttpReply,
): Promise<void> {
  const reply = await start(streams, request);
  const { content, agent, usage } = await reply.whole();
  response.json(200, {
    response: content,
    agent,
    conversation_id: reply.conversationId,
    ...(usage && { usage }),
  });
}

/** `POST /chat/stream`: frames as they come. What fails before the first one is answered as plain JSON. */
export async function answerStream(
  streams: ChatStreams,
  request: HttpRequest,
  response: HttpReply,
): Promise<void> {
  const reply = await start(streams, request);
  const reader = reply.read()[Symbol.asyncIterator]();
  const { value: first = [] } = await reader.next();
  if (first[0]?.frame.type === 'error') throw reply.failure;
  const encoding = encodingFor(request.header('accept'));
  try {
    await response.stream(200, encoding.headers, encoded(first, reader, encoding));
  } finally {
    await reply.cancel('disconnected');
  }
}

async function start(streams: ChatStreams, request: HttpRequest): Promise<Reply> {
  const command = await readCommand(await request.json());
  const reply = streams.start(command);
  const leave = () => void reply.cancel('disconnected');
  if (request.signal.aborted) leave();
  else request.signal.addEventListener('abort', leave, { once: true });
  return reply;
}
