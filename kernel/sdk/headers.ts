import type { ContextReport } from '../contracts/chat.js';
import type { TraceContext } from '../contracts/chat-fields.js';
import type { HttpRequest } from '../contracts/transport.js';

/** The response header with the name of the agent. */
export function agentHeader(agent: string): Readonly<Record<string, string>> {
  const name = agent.replace(/\p{Cs}/gu, '?').replace(/[^ -~]/gu, encodeURIComponent);
  return { 'x-waggle-agent': name };
}

/** The response headers of an answer whose model has not read the whole conversation; none where it has. */
export function contextHeaders(
  context: ContextReport | undefined,
  truncated?: boolean,
): Readonly<Record<string, string>> {
  return {
    ...(context &&
      context.droppedMessages > 0 && { 'x-waggle-dropped-messages': String(context.droppedMessages) }),
    ...(truncated && { 'x-waggle-truncated': 'true' }),
  };
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
