import type { Headers, LogEntry } from '#kernel';
import { eventStreamHeaders, keepAlive, unbufferedHeaders } from '#sdk';

/** Format of a reply's frames in an HTTP body. */
export interface Encoding {
  readonly headers: Headers;
  readonly isEventStream: boolean;
  encode(entry: LogEntry): string;
  /** Text that clients ignore; undefined where the format has none. */
  readonly heartbeat: string | undefined;
}

/** Server-Sent Events; `id` is the position. */
const sse: Encoding = {
  headers: eventStreamHeaders,
  isEventStream: true,
  encode: ({ type, position, json }) => `id: ${position}\nevent: ${type}\ndata: ${json}\n\n`,
  heartbeat: keepAlive,
};

/** One JSON object per line. */
const ndjson: Encoding = {
  headers: { 'content-type': 'application/x-ndjson; charset=utf-8', ...unbufferedHeaders },
  isEventStream: false,
  encode: ({ json }) => `${json}\n`,
  heartbeat: undefined,
};

/** NDJSON if the client accepts it, else SSE. */
export function encodingFor(accept: string | undefined): Encoding {
  return accept?.includes('application/x-ndjson') ? ndjson : sse;
}
