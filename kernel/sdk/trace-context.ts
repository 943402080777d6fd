import type { TraceContext } from '../contracts/chat-fields.js';
import type { HttpRequest } from '../contracts/transport.js';

/** What of `source` it is; no field where there is none. */
export function traceContextOf(source: TraceContext): TraceContext {
  const { traceparent, tracestate, baggage } = source;
  return {
    ...(traceparent && { traceparent }),
    ...(tracestate && { tracestate }),
    ...(baggage && { baggage }),
  };
}

/** What comes with a request. */
export function traceContextIn(request: Pick<HttpRequest, 'header'>): TraceContext {
  const [traceparent, tracestate, baggage] = ['traceparent', 'tracestate', 'baggage'].map((name) =>
    request.header(name),
  );
  return traceContextOf({ traceparent, tracestate, baggage });
}
