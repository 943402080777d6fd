import { failureOf, root } from './server.js';

/**
 * Starts an answer over HTTP, which allows longer questions than a frame. It can be resumed by its stream id, and has a
 * reader until `leave` is called.
 * @param {{ content: string, userId: string | undefined, conversationId: string, requestId: string, onDisconnect: string }
 *   & import('./conversations.js').Choice & { replaces?: number | undefined, images?: readonly string[] | undefined }} asked
 * @returns {Promise<{ streamId: string, leave: () => void }>}
 */
export async function postChat({ userId, conversationId, requestId, onDisconnect, ...asked }) {
  const ids = {
    ...(userId !== undefined && { user_id: userId }),
    conversation_id: conversationId,
    request_id: requestId,
    on_disconnect: onDisconnect,
  };
  const abort = new AbortController();
  const response = await fetch(new URL('chat/stream', root), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify({ ...asked, ...ids }),
    signal: abort.signal,
  });
  const streamId = response.headers.get('x-stream-id');
  if (response.ok && streamId) return { streamId, leave: () => abort.abort() };
  throw failureOf(response, await response.json());
}
