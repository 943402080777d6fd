import type { Headers as HeaderValues, HttpRequest, HttpResponse } from '#kernel';
import { eventStreamHeaders } from '#sdk';

/** Headers that the protocol reads. Credentials are not among them. */
const passed = [
  'accept',
  'content-type',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
];
/** Response headers that a page of another origin may read. */
const exposed = { 'access-control-expose-headers': 'mcp-session-id, x-request-id, retry-after' };
/** Sent at once, so that the headers of a stream do not wait for its first event. */
const opening = ': ok\n\n';

/** A request as the web's API has it, without its body. */
export function webRequest(request: HttpRequest): Request {
  const headers = new Headers();
  for (const name of passed) {
    const value = request.header(name);
    if (value !== undefined) headers.set(name, value);
  }
  // Only its path counts; the host is any that the transport allows.
  const { method, signal } = request;
  return new Request(`http://localhost${request.path}`, { method, headers, signal });
}

/** Sends a response of the web's API. Resolves at its end. */
export async function sendWeb(answer: Response, response: HttpResponse): Promise<void> {
  const { status, body } = answer;
  const headers: HeaderValues = { ...Object.fromEntries(answer.headers), ...exposed };
  const isEvents = headers['content-type']?.startsWith('text/event-stream');
  if (!body || !isEvents) return response.send(status, body ? await answer.text() : '', headers);
  await response.stream(status, { ...headers, ...eventStreamHeaders }, eventsOf(body));
}

/** The text of a body. Left before its end it is cancelled at once, also in the middle of a wait. */
function eventsOf(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const utf8 = new TextDecoder();
  const reader = body.getReader();
  let isOpen = false;
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (!isOpen) {
          isOpen = true;
          return { done: false, value: opening };
        }
        const { done, value } = await reader.read();
        return done ? { done, value: undefined } : { done, value: utf8.decode(value, { stream: true }) };
      },
      async return() {
        await reader.cancel();
        return { done: true, value: undefined };
      },
    }),
  };
}
