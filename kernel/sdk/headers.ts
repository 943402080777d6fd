import type { TraceContext } from '../contracts/chat-fields.js';
import type { HttpRequest } from '../contracts/transport.js';

/** The response header with the name of the agent. */
export function agentHeader(agent: string): Readonly<Record<string, string>> {
  const name = agent.replace(/\p{Cs}/gu, '?').replace(/[^ -~]/gu, encodeURIComponent);
  return { 'x-waggle-agent': name };
}

/** The trace fields of `source`, without absent ones. */
export function traceContextOf(source: TraceContext): TraceContext {
  const { traceparent, tracestate, baggage } = source;
  return {
    ...(traceparent && { traceparent }),
    ...(tracestate && { tracestate }),
    ...(baggage && { baggage }),
  };
}

/** The trace context of a request. */
export function traceContextIn(request: Pick<HttpRequest, 'header'>): TraceContext {
  const [traceparent, tracestate, baggage] = ['traceparent', 'tracestate', 'baggage'].map((name) =>
    request.header(name),
  );
  return traceContextOf({ traceparent, tracestate, baggage });
}
