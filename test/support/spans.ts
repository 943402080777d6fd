import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import {
  NodeTracerProvider,
  type ReadableSpan,
  type Span,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-node';

/** Registers an SDK of OpenTelemetry in this process, which keeps every span. */
export function recordSpans() {
  const recorder = new Recorder();
  new NodeTracerProvider({ spanProcessors: [recorder] }).register();
  return recorder;
}

/** Every span of this process, since the last `clear`. */
class Recorder implements SpanProcessor {
  readonly #started: ReadableSpan[] = [];
  readonly #ended: ReadableSpan[] = [];

  onStart(span: Span): void {
    this.#started.push(span);
  }

  onEnd(span: ReadableSpan): void {
    this.#ended.push(span);
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}

  get ended(): readonly ReadableSpan[] {
    return this.#ended;
  }

  /** Names of spans that have begun and not ended. */
  get open(): readonly string[] {
    return this.#started.filter((span) => !span.ended).map(({ name }) => name);
  }

  /** The spans of each trace as lines, children below their parents, by the time they began. */
  get trees(): readonly string[] {
    const known = new Set(this.#ended.map((span) => span.spanContext().spanId));
    const lines = (span: ReadableSpan, depth: number): readonly string[] => [
      `${'  '.repeat(depth)}${span.name}`,
      ...this.#ended
        .filter((each) => each.parentSpanContext?.spanId === span.spanContext().spanId)
        .sort((a, b) => begin(a) - begin(b))
        .flatMap((each) => lines(each, depth + 1)),
    ];
    return this.#ended
      .filter(({ parentSpanContext }) => !known.has(parentSpanContext?.spanId ?? ''))
      .map((root) => lines(root, 0).join('\n'));
  }

  /** The one span of this name. */
  span(name: string): ReadableSpan {
    const [span, ...more] = this.#ended.filter((each) => each.name === name);
    if (!span || more.length > 0) throw new Error(`not one span "${name}": ${this.trees.join('\n')}`);
    return span;
  }

  clear(): void {
    this.#started.length = 0;
    this.#ended.length = 0;
  }

  /** Undoes `recordSpans`. */
  unregister(): void {
    trace.disable();
    context.disable();
    propagation.disable();
  }
}

/** When a span began, in milliseconds. */
export function begin({ startTime: [seconds, nanos] }: ReadableSpan): number {
  return seconds * 1000 + nanos / 1e6;
}

/** When a span ended, in milliseconds. */
export function finish({ endTime: [seconds, nanos] }: ReadableSpan): number {
  return seconds * 1000 + nanos / 1e6;
}

/** The name of a span's kind. */
export function kindOf({ kind }: ReadableSpan): string {
  return SpanKind[kind];
}
