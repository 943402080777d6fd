import type { TraceContext } from '../contracts/chat-fields.js';
import type { HttpRequest } from '../contracts/transport.js';

/** Says in the head of an answer who gave it. */
export function agentHeader(agent: string): Readonly<Record<string, string>> {
  const name = agent.replace(/\p{Cs}/gu, '?').replace(/[^ -~]/gu, encodeURIComponent);
  return { 'x-waggle-agent': name };
}

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
