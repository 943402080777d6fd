import type { Attributes, Context, Span, SpanKind, Tracer } from '@opentelemetry/api';
import type { KernelEvents, TraceContext } from '#kernel';
import { version } from '#sdk';
import type { Api } from './api.js';

/** How a span ended: well, with a code of the catalogue, or because the answer was no longer wanted. */
export interface SpanEnd {
  readonly code?: string;
  readonly cancelled?: string;
  readonly attributes?: Attributes;
}

/** One agent that was asked, and its model server where it has one. */
interface Asked {
  readonly agent: Span;
  readonly model: Span | undefined;
}

/**
 * The spans of one request: it, its wait, each agent that was asked, and each request to a model server, under the names
 * of the GenAI conventions of OpenTelemetry. No span holds anything that was said.
 */
export class RequestTrace {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #acceptedAt = now();
  readonly #conversation: Attributes;
  #asked: Asked | undefined;

  constructor(api: Api, { streamId, conversationId, ...client }: KernelEvents['chat:accepted']) {
    const { trace, SpanKind } = api;
    this.#api = api;
    this.#tracer = trace.getTracer('waggle-server', version);
    this.#conversation = { 'gen_ai.conversation.id': conversationId };
    // As in log lines: the whole id would be a key to the reply.
    const attributes = { ...this.#conversation, 'waggle.stream': streamId.slice(0, 6) };
    const parent = parentOf(api, client);
    const startTime = this.#acceptedAt;
    const kind = SpanKind.SERVER;
    this.#span = this.#tracer.startSpan('waggle.request', { kind, attributes, startTime }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  /** False where nobody traces: then there is nothing to keep. */
  get wanted(): boolean {
    return this.#api.isSpanContextValid(this.#span.spanContext());
  }

  /** An agent is about to be asked. What its upstream has to know of the trace goes into `headers`. */
  asked({ agent: name, provider, model, fallback, headers }: KernelEvents['agent:asked']): void {
    this.agentEnded({});
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
      this.#context,
    );
    let inner = trace.setSpan(this.#context, agent);
    let upstream: Span | undefined;
    if (provider) {
      const attributes = { ...about, 'gen_ai.operation.name': 'chat' };
      upstream = this.#start(chatName(model), SpanKind.CLIENT, attributes, inner);
      inner = trace.setSpan(inner, upstream);
    }
    this.#asked = { agent, model: upstream };
    propagation.inject(inner, headers);
  }

  /** The agent that was asked last has answered. */
  answered({ model, reason, usage }: KernelEvents['agent:answered']): void {
    if (model) this.#asked?.model?.updateName(chatName(model));
    const attributes = {
      'gen_ai.response.finish_reasons': [reason],
      ...(model && { 'gen_ai.response.model': model }),
      ...(usage && {
        'gen_ai.usage.input_tokens': usage.inputTokens,
        'gen_ai.usage.output_tokens': usage.outputTokens,
      }),
    };
    this.agentEnded({ attributes });
  }

  /** The agent that was asked last has ended in some other way. */
  agentEnded({ attributes = {}, ...how }: SpanEnd): void {
    if (!this.#asked) return;
    const { agent, model } = this.#asked;
    this.#asked = undefined;
    if (model) this.#end(model, { attributes, ...how });
    // Counted once: what sums up tokens would not see that these are the same.
    this.#end(agent, model ? how : { attributes, ...how });
  }

  /** The request has ended; whoever is still being asked is no longer wanted. */
  ended(how: SpanEnd, queuedMs?: number): void {
    this.agentEnded({ cancelled: how.cancelled ?? 'cut off' });
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

/** The span that is active where requests are traced already, else what the client says. */
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
