import type { Headers, LogEntry } from '#kernel';

/** How the frames of a reply are written into an HTTP body. */
export interface Encoding {
  readonly headers: Headers;
  encode(entry: LogEntry): string;
}

// Without these, proxies hold an event stream back or compress it.
const unbuffered = { 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' };

/** Server-Sent Events (html.spec.whatwg.org/multipage/server-sent-events.html); `id` is the position. */
const sse: Encoding = {
  headers: { 'content-type': 'text/event-stream; charset=utf-8', ...unbuffered },
  encode: ({ frame, position }) =>
    `id: ${position}\nevent: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`,
};

/** One JSON object a line. */
const ndjson: Encoding = {
  headers: { 'content-type': 'application/x-ndjson; charset=utf-8', ...unbuffered },
  encode: ({ frame }) => `${JSON.stringify(frame)}\n`,
};

/** NDJSON for who asks for it, else SSE. */
export function encodingFor(accept: string | undefined): Encoding {
  return accept?.includes('application/x-ndjson') ? ndjson : sse;
}

/** What `reader` gives after `first`, one text a batch. Not a generator: its return() would wait for the next frame. */
export function encoded(
  first: readonly LogEntry[],
  reader: AsyncIterator<readonly LogEntry[]>,
  { encode }: Encoding,
): AsyncIterableIterator<string> {
  let begun = false;
  const text = (entries: readonly LogEntry[]) => entries.map(encode).join('');
  const parts: AsyncIterableIterator<string> = {
    next: async () => {
      if (!begun) {
        begun = true;
        return { done: false, value: text(first) };
      }
      const { done, value } = await reader.next();
      return done ? { done, value: undefined } : { done: false, value: text(value) };
    },
    return: async () => {
      await reader.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => parts,
  };
  return parts;
}
