import type { Headers } from '../contracts/transport.js';

/** Headers that stop proxies from buffering or compressing a streamed body. */
export const unbufferedHeaders: Headers = {
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Headers of Server-Sent Events (html.spec.whatwg.org/multipage/server-sent-events.html). */
export const eventStreamHeaders: Headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  ...unbufferedHeaders,
};

/** A comment in an event stream: clients ignore it, proxies keep the connection open. */
export const keepAlive = ': keep-alive\n\n';
