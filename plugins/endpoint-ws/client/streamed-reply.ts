import { Exchange, type Line } from './exchange.js';
import type { ServerFrame } from './server-frame.js';
import type { Answer, CancelReceipt, Chunk, Reply, ResumeOptions, ToolCall } from './types.js';

/** A trailing high surrogate: the first half of a character. */
const halfCharacter = /[\ud800-\udbff]$/;

/**
 * The longest request that is repeated without a response. A server refuses a slightly too long one with an error, but
 * may close the connection on a much longer one, each time.
 */
const repeatLimitChars = 64 * 1024;

/** A reply that survives lost connections: it resumes from its position and appends nothing twice. */
export class StreamedReply extends Exchange<Answer> implements Reply {
  agent: string | undefined;
  conversationId: string | undefined;
  text = '';
  position: number;
  readonly #request: object;
  readonly #toolCalls = new Map<string, ToolCall>();
  readonly #queue: Chunk[] = [];
  readonly #waiting = new Set<() => void>();
  #thinking = '';
  #requestChars = 0;
  #left = false;

  constructor(line: Line, request: object, options: ResumeOptions, streamId?: string) {
    super(line, options);
    this.#request = request;
    this.position = options.position ?? 0;
    this.id = streamId;
    const wake = () => this.#wake();
    this.result.then(wake, wake);
  }

  get streamId(): string | undefined {
    return this.id;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    while (!this.#left) {
      const value = this.#pull();
      if (value) return { done: false, value };
      if (this.ended) {
        await this.result;
        break;
      }
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Chunk, undefined>> {
    this.#left = true;
    this.#wake();
    this.cancel().catch(() => {}); // Reported by the result.
    return { done: true, value: undefined };
  }

  async cancel(): Promise<CancelReceipt | undefined> {
    const before = this.ended;
    if (!this.sent) this.#finish('cancelled', { cancelled: { reason: 'client', upstreamClosedMs: 0 } });
    else if (!before && !this.cancelling) this.stopAndWait();
    const { cancelled } = await this.result.catch((error): Partial<Answer> => {
      if (before) return {};
      throw error;
    });
    return cancelled;
  }

  protected ask(): void {
    const { requestId, id: streamId, position } = this;
    if (this.#requestChars > repeatLimitChars && streamId === undefined)
      this.fail(
        this.error('TOO_LARGE', `the connection was lost over a request of ${this.#requestChars} characters`),
      );
    else if (streamId === undefined)
      this.#requestChars = this.line.send({ ...this.#request, requestId, positions: true });
    else this.line.send({ type: 'resume', streamId, position, requestId, positions: true });
  }

  protected stop(): void {
    if (this.id !== undefined) this.line.send({ type: 'cancel', streamId: this.id });
  }

  protected take(frame: ServerFrame): void {
    const { type, content = '', reason = 'stop', upstreamClosedMs = 0 } = frame;
    if (type === 'streaming_start') this.#name(frame);
    else if (type === 'streaming_token') this.#append('text', content, frame.position);
    else if (type === 'streaming_thinking') this.#append('thinking', content, frame.position);
    else if (type === 'streaming_tool_call') this.#call(frame);
    else if (type === 'streaming_end') this.#finish(reason, frame);
    else if (type === 'message') {
      this.#name(frame);
      this.#append('text', content, content.length);
      this.#finish(reason, frame);
    } else if (type === 'cancelled') {
      if (this.cancelling) this.#finish('cancelled', { cancelled: { reason, upstreamClosedMs } });
      else this.fail(this.error('CANCELLED', `cancelled by the server: ${reason}`));
    }
  }

  #name({ agent, conversationId }: ServerFrame): void {
    this.agent = agent;
    this.conversationId = conversationId;
  }

  /** `end` is the position after this content, if the server sent it. */
  #append(type: 'text' | 'thinking', content: string, end = this.position + content.length): void {
    const known = this.position - (end - content.length);
    if (known < 0) this.abandon(this.error('STREAM_GONE', `${-known} characters got lost on the way`));
    const fresh = content.slice(known);
    if (fresh === '' || known < 0) return;
    this.position += fresh.length;
    if (type === 'text') this.text += fresh;
    else this.#thinking += fresh;
    const last = this.#queue.at(-1);
    const before = last?.type === type ? last.content : '';
    if (before) this.#queue.pop();
    this.#queue.push({ type, content: before + fresh });
    this.#wake();
  }

  #call({ id = '', name = '', arguments: input, argumentsText }: ServerFrame): void {
    if (this.#toolCalls.has(id)) return;
    const call = { type: 'tool_call', id, name, arguments: input, argumentsText } as const;
    this.#toolCalls.set(id, call);
    this.#queue.push(call);
    this.#wake();
  }

  #finish(
    reason: string,
    { usage, timings, cancelled }: Pick<Answer, 'usage' | 'timings' | 'cancelled'>,
  ): void {
    const { text, streamId, agent, conversationId } = this;
    const thinking = this.#thinking;
    const toolCalls = [...this.#toolCalls.values()];
    this.succeed({
      ...{ text, thinking, toolCalls, reason, streamId, agent, conversationId },
      ...{ usage, timings, cancelled },
    });
  }

  #pull(): Chunk | undefined {
    const chunk = this.#queue.shift();
    if (!chunk || chunk.type === 'tool_call' || this.#queue.length > 0 || this.ended) return chunk;
    const { type, content } = chunk;
    if (!halfCharacter.test(content)) return chunk;
    // The first half waits for the second.
    this.#queue.push({ type, content: content.slice(-1) });
    return content.length > 1 ? { type, content: content.slice(0, -1) } : undefined;
  }

  #wake(): void {
    for (const go of this.#waiting) go();
    this.#waiting.clear();
  }
}
