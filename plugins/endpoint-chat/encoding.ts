import type { Headers, LogEntry } from '#kernel';

/** How the frames of a reply are written into an HTTP body. */
export interface Encoding {
  readonly headers: Headers;
  readonly isEventStream: boolean;
  encode(entry: LogEntry): string;
  /** Something that readers ignore; undefined where the format has no such thing. */
  readonly heartbeat: string | undefined;
}

// Without these, proxies hold an event stream back or compress it.
const unbuffered = { 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' };

/** Server-Sent Events (html.spec.whatwg.org/multipage/server-sent-events.html); `id` is the position. */
const sse: Encoding = {
  headers: { 'content-type': 'text/event-stream; charset=utf-8', ...unbuffered },
  isEventStream: true,
  encode: ({ type, position, json }) => `id: ${position}\nevent: ${type}\ndata: ${json}\n\n`,
  heartbeat: ': keep-alive\n\n',
};

/** One JSON object a line. */
const ndjson: Encoding = {
  headers: { 'content-type': 'application/x-ndjson; charset=utf-8', ...unbuffered },
  isEventStream: false,
  encode: ({ json }) => `${json}\n`,
  heartbeat: undefined,
};

/** NDJSON for who asks for it, else SSE. */
export function encodingFor(accept: string | undefined): Encoding {
  return accept?.includes('application/x-ndjson') ? ndjson : sse;
}
