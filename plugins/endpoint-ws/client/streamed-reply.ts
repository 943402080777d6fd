import { Exchange, type Line } from './exchange.js';
import type { ServerFrame } from './server-frame.js';
import { Steps } from './steps.js';
import type { Answer, CancelReceipt, ChatOptions, Chunk, Reply, ResumeOptions } from './types.js';

/** A trailing high surrogate: the first half of a character. */
const halfCharacter = /[\ud800-\udbff]$/;

/**
 * The longest request that is repeated without a response. A server refuses a slightly too long one with an error, but
 * may close the connection on a much longer one, each time.
 */
const repeatLimitChars = 64 * 1024;

/** The part of the options that takes part in the reply. */
type Helpers = Pick<ChatOptions, 'tools' | 'onApproval'>;

/** A reply that survives lost connections: it resumes from its position and appends nothing twice. */
export class StreamedReply extends Exchange<Answer> implements Reply {
  agent: string | undefined;
  conversationId: string | undefined;
  text = '';
  position: number;
  readonly #request: object;
  readonly #steps = new Steps();
  readonly #helpers: Helpers;
  /** Answers about tool calls that the server has not confirmed, by call. */
  readonly #answers = new Map<string, object>();
  readonly #queue: Chunk[] = [];
  readonly #waiting = new Set<() => void>();
  #thinking = '';
  #requestChars = 0;
  #left = false;

  constructor(line: Line, request: object, options: ResumeOptions & Helpers, streamId?: string) {
    super(line, options);
    this.#helpers = options;
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

  toolResult(id: string, output: unknown): void {
    this.#answer(id, { type: 'tool_result', output: output ?? null });
  }

  toolError(id: string, reason: string): void {
    this.#answer(id, { type: 'tool_result', error: reason });
  }

  approve(id: string, allow: boolean, reason?: string): void {
    this.#answer(id, { type: 'approve', allow, reason });
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
    for (const answer of this.#answers.values()) this.line.send(answer);
  }

  protected stop(): void {
    if (this.id !== undefined) this.line.send({ type: 'cancel', streamId: this.id });
  }

  protected take(frame: ServerFrame): void {
    const { type, content = '', reason = 'stop', upstreamClosedMs = 0 } = frame;
    if (type === 'streaming_start') this.#name(frame);
    else if (type === 'streaming_token') this.#append('text', content, frame.position);
    else if (type === 'streaming_thinking') this.#append('thinking', content, frame.position);
    else if (type === 'streaming_end') {
      this.agent = frame.agent ?? this.agent;
      this.#finish(reason, frame);
    } else if (type === 'message') {
      this.#name(frame);
      this.#append('text', content, content.length);
      this.#finish(reason, frame);
    } else if (type === 'cancelled') {
      const { stopped, unstopped } = frame;
      const cancelled = {
        reason,
        upstreamClosedMs,
        ...(stopped && { stopped }),
        ...(unstopped && { unstopped }),
      };
      if (this.cancelling) this.#finish('cancelled', { cancelled });
      else this.fail(this.error('CANCELLED', `cancelled by the server: ${reason}`));
    } else this.#step(frame);
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
    const before = last?.type === type && 'content' in last ? last.content : '';
    if (before) this.#queue.pop();
    this.#queue.push({ type, content: before + fresh });
    this.#wake();
  }

  #step(frame: ServerFrame): void {
    const step = this.#steps.read(frame, this.position);
    if (!step) return;
    if (step.type === 'tool_result' || step.type === 'approval_resolved') this.#answers.delete(step.id);
    this.#queue.push(step);
    this.#wake();
    const { tools, onApproval } = this.#helpers;
    if (step.type === 'approval_required' && onApproval)
      this.#decide(
        () => onApproval(step),
        (allow) => this.approve(step.id, allow === true),
        (reason) => this.approve(step.id, false, reason),
      );
    if (step.type !== 'tool_call' || step.executor !== 'client') return;
    const run = tools?.find(({ name }) => name === step.name)?.run;
    if (run)
      this.#decide(
        () => run(step.arguments as never),
        (output) => this.toolResult(step.id, output),
        (reason) => this.toolError(step.id, reason),
      );
  }

  /** Runs code of the program. Its failure is an answer, too. */
  #decide(work: () => unknown, done: (result: unknown) => void, failed: (reason: string) => void): void {
    Promise.resolve()
      .then(work)
      .then(done)
      .catch((error: unknown) => failed(error instanceof Error ? error.message : String(error)));
  }

  #answer(id: string, answer: object): void {
    if (this.ended || this.id === undefined) return;
    const frame = { ...answer, streamId: this.id, id };
    this.#answers.set(id, frame);
    this.line.send(frame);
  }

  #finish(
    reason: string,
    { usage, timings, cancelled }: Pick<Answer, 'usage' | 'timings' | 'cancelled'>,
  ): void {
    const { text, streamId, agent, conversationId } = this;
    const thinking = this.#thinking;
    const toolCalls = this.#steps.calls;
    this.succeed({
      ...{ text, thinking, toolCalls, reason, streamId, agent, conversationId },
      ...{ usage, timings, cancelled },
    });
  }

  #pull(): Chunk | undefined {
    const chunk = this.#queue.shift();
    if (!chunk || !('content' in chunk) || this.#queue.length > 0 || this.ended) return chunk;
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
