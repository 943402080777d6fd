import type { IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';

/** An event that cannot be read. */
export class EventError extends Error {
  override readonly name = 'EventError';
}

/** What one read gave: the data of its events, and what was wrong after them. */
export interface Events {
  readonly data: readonly string[];
  readonly error?: EventError;
}

/** The events of a body (html.spec.whatwg.org/multipage/server-sent-events.html), all of one read at once. */
export async function* eventsOf(body: IncomingMessage, limitBytes: number): AsyncGenerator<Events> {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  let data: string[] = [];
  let error: EventError | undefined;
  const parser = createParser({
    maxBufferSize: limitBytes,
    onEvent: (event) => data.push(event.data),
    onError: ({ type }) => {
      if (type === 'max-buffer-size-exceeded')
        error = new EventError(`an event is longer than ${limitBytes} bytes`);
    },
  });
  // Not destroyed: its connection serves the next request.
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    try {
      parser.feed(utf8.decode(chunk as Uint8Array, { stream: true }));
    } catch (cause) {
      error ??= new EventError('an event is not valid UTF-8', { cause });
    }
    if (data.length === 0 && !error) continue;
    yield error ? { data, error } : { data };
    data = [];
  }
}
