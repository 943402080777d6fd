import type { Attributes, Context, Span, SpanKind, Tracer } from '@opentelemetry/api';
import type { KernelEvents, TraceContext } from '#kernel';
import { version } from '#sdk';
import type { Api } from './api.js';

/** End of a span: success, an error code, or the reason of a cancellation. */
export interface SpanEnd {
  readonly code?: string;
  readonly cancelled?: string;
  readonly attributes?: Attributes;
}

/** Spans of one agent call, and of the request to its model server if it has one. */
interface Asked {
  readonly agent: Span;
  readonly model: Span | undefined;
}

/**
 * Spans of one request: the request, queueing, each agent call and each model request, named by the GenAI conventions of
 * OpenTelemetry. No span contains message text.
 */
export class RequestTrace {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #acceptedAt = now();
  readonly #conversation: Attributes;
  /** Running agent calls by attempt; those of which no number is known have none. */
  readonly #asked = new Map<number | undefined, Asked>();
  readonly #tools = new Map<string, Span>();

  constructor(api: Api, { streamId, conversationId, ...client }: KernelEvents['chat:accepted']) {
    const { trace, SpanKind } = api;
    this.#api = api;
    this.#tracer = trace.getTracer('waggle-server', version);
    this.#conversation = { 'gen_ai.conversation.id': conversationId };
    // Shortened as in the log: the whole id would give access to the reply.
    const attributes = { ...this.#conversation, 'waggle.stream': streamId.slice(0, 6) };
    const parent = parentOf(api, client);
    const startTime = this.#acceptedAt;
    const kind = SpanKind.SERVER;
    this.#span = this.#tracer.startSpan('waggle.request', { kind, attributes, startTime }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  /** False if no tracer records the span. */
  get wanted(): boolean {
    return this.#api.isSpanContextValid(this.#span.spanContext());
  }

  /** Starts the spans of an agent call, and adds the trace context for the upstream to `headers`. */
  asked({ agent: name, provider, model, fallback, headers, ...event }: KernelEvents['agent:asked']): void {
    const { attempt, parent } = event;
    this.agentEnded(attempt, {});
    const asker = parent === undefined ? undefined : this.#asked.get(parent)?.agent;
    const { trace, propagation, SpanKind } = this.#api;
    const about = {
      ...this.#conversation,
      ...(provider && { 'gen_ai.provider.name': provider }),
      ...(model && { 'gen_ai.request.model': model }),
    };
    const agent = this.#start(
      `invoke_agent ${name}`,
      SpanKind.INTERNAL,
      {
        ...about,
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': name,
        ...(fallback && { 'waggle.fallback': true }),
      },
      asker ? trace.setSpan(this.#context, asker) : this.#context,
    );
    let inner = trace.setSpan(this.#context, agent);
    let upstream: Span | undefined;
    if (provider) {
      const attributes = { ...about, 'gen_ai.operation.name': 'chat' };
      upstream = this.#start(chatName(model), SpanKind.CLIENT, attributes, inner);
      inner = trace.setSpan(inner, upstream);
    }
    this.#asked.set(attempt, { agent, model: upstream });
    propagation.inject(inner, headers);
  }

  /** Ends an agent call with an answer. */
  answered({ model, reason, usage, attempt }: KernelEvents['agent:answered']): void {
    if (model) this.#asked.get(attempt)?.model?.updateName(chatName(model));
    const attributes = {
      'gen_ai.response.finish_reasons': [reason],
      ...(model && { 'gen_ai.response.model': model }),
      ...(usage && {
        'gen_ai.usage.input_tokens': usage.inputTokens,
        'gen_ai.usage.output_tokens': usage.outputTokens,
      }),
    };
    this.agentEnded(attempt, { attributes });
  }

  /** Ends an agent call. */
  agentEnded(attempt: number | undefined, { attributes = {}, ...how }: SpanEnd): void {
    const asked = this.#asked.get(attempt);
    if (!asked) return;
    const { agent, model } = asked;
    this.#asked.delete(attempt);
    if (model) this.#end(model, { attributes, ...how });
    // On one span only: backends that sum up tokens would count them twice.
    this.#end(agent, model ? how : { attributes, ...how });
  }

  toolCalled({ callId, name, attempt }: KernelEvents['tool:called']): void {
    const { trace, SpanKind } = this.#api;
    const asker = this.#asked.get(attempt)?.agent;
    const parent = asker ? trace.setSpan(this.#context, asker) : this.#context;
    const attributes = {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': name,
      'gen_ai.tool.call.id': callId,
    };
    this.#tools.set(callId, this.#start(`execute_tool ${name}`, SpanKind.INTERNAL, attributes, parent));
  }

  toolEnded(callId: string, how: SpanEnd): void {
    const span = this.#tools.get(callId);
    this.#tools.delete(callId);
    if (span) this.#end(span, how);
  }

  /** Ends the request, and all that is still running. */
  ended(how: SpanEnd, queuedMs?: number): void {
    const cut = { cancelled: how.cancelled ?? 'cut off' };
    for (const callId of [...this.#tools.keys()]) this.toolEnded(callId, cut);
    for (const attempt of [...this.#asked.keys()].reverse()) this.agentEnded(attempt, cut);
    if (queuedMs !== undefined) {
      const startTime = this.#acceptedAt;
      this.#tracer
        .startSpan('waggle.queue', { kind: this.#api.SpanKind.INTERNAL, startTime }, this.#context)
        .end(Math.min(startTime + queuedMs, now()));
    }
    this.#end(this.#span, how);
  }

  #start(name: string, kind: SpanKind, attributes: Attributes, parent: Context): Span {
    return this.#tracer.startSpan(name, { kind, attributes, startTime: now() }, parent);
  }

  #end(span: Span, { code, cancelled, attributes = {} }: SpanEnd): void {
    span.setAttributes({
      ...attributes,
      ...(code && { 'error.type': code }),
      ...(cancelled && { 'waggle.cancelled': cancelled }),
    });
    if (code) span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    span.end(now());
  }
}

/** The active span if requests are traced already, else the context sent by the client. */
function parentOf({ context, trace, propagation }: Api, client: TraceContext): Context {
  const active = context.active();
  return trace.getSpan(active) ? active : propagation.extract(active, client);
}

function chatName(model: string | undefined): string {
  return model ? `chat ${model}` : 'chat';
}

/** Milliseconds since 1970, finer than `Date.now()`. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
