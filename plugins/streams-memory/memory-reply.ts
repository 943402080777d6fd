import {
  type AgentChosen,
  type CancelReason,
  type Chat,
  type ChatCommand,
  type ClientErrorCode,
  type Logger,
  type Reply,
  type StreamChunk,
  type StreamFrame,
  type TerminalFrame,
  type Timings,
  toClientError,
  type Usage,
  WaggleError,
  type WholeReply,
} from '#kernel';
import type { Config } from './config.js';
import { ReplyLog } from './reply-log.js';

export interface ReplyRequest extends ChatCommand {
  readonly streamId: string;
  readonly conversationId: string;
  readonly requestId?: string | undefined;
}

/** How a reply ended. */
export type Ending =
  | { readonly type: 'finished'; readonly agent: string; readonly usage?: Usage; readonly timings: Timings }
  | { readonly type: 'failed'; readonly error: WaggleError<ClientErrorCode> }
  | { readonly type: 'cancelled'; readonly reason: CancelReason };

export interface ReplyEvents {
  started(reply: MemoryReply, agent: string): void;
  ended(reply: MemoryReply, ending: Ending): void;
}

/** Pulls one answer from the chat agent into its log. */
export class MemoryReply implements Reply {
  readonly #log = new ReplyLog();
  readonly #abort = new AbortController();
  readonly #startedAt = performance.now();
  readonly #request: ReplyRequest;
  readonly #limits: Config;
  readonly #events: ReplyEvents;
  #deadline: NodeJS.Timeout | undefined;
  #pumped: Promise<void> | undefined;
  #agent: string | undefined;
  #fallback: { text: string } | undefined;
  #firstTokenMs: number | undefined;
  #chars = 0;
  #failure: WaggleError<ClientErrorCode> | undefined;
  #cancelling: { readonly reason: CancelReason; readonly at: number } | undefined;

  constructor(request: ReplyRequest, limits: Config, events: ReplyEvents) {
    this.#request = request;
    this.#limits = limits;
    this.#events = events;
  }

  get streamId(): string {
    return this.#request.streamId;
  }

  get conversationId(): string {
    return this.#request.conversationId;
  }

  get failure(): WaggleError<ClientErrorCode> | undefined {
    return this.#failure;
  }

  /** Begins to pull. Called once. */
  run(chat: Chat, logger: Logger): void {
    const { replyTimeoutMs: timeoutMs } = this.#limits;
    this.#deadline = setTimeout(() => {
      this.#fail(
        new WaggleError('AGENT_TIMEOUT', { agent: this.#who, phase: 'the whole answer', timeoutMs }),
      );
    }, timeoutMs);
    this.#pumped = this.#pump(chat, logger);
  }

  read() {
    return this.#log.read();
  }

  async whole(): Promise<WholeReply> {
    let text = '';
    for await (const entries of this.read())
      for (const { frame } of entries) {
        if (frame.type === 'streaming_token') text += frame.content;
        else if (frame.type === 'streaming_end' || frame.type === 'message') {
          const { agent, usage } = frame;
          return { content: 'content' in frame ? frame.content : text, agent, ...(usage && { usage }) };
        } else if (frame.type === 'cancelled' && frame.reason === 'shutdown')
          throw new WaggleError('SHUTTING_DOWN', { retryAfterMs: 1000 });
      }
    const why = 'the reply was cancelled';
    throw this.#failure ?? new WaggleError('AGENT_DISCONNECTED', { agent: this.#who, why });
  }

  async cancel(reason: CancelReason): Promise<void> {
    if (this.#log.ended) return;
    this.#cancelling ??= { reason, at: performance.now() };
    this.#abort.abort();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#limits.cancelTimeoutMs);
    });
    await Promise.race([this.#pumped, late]);
    clearTimeout(timer);
    // An agent that ignores its signal is left to itself; what it still says is dropped.
    this.#endCancelled();
  }

  async #pump(chat: Chat, logger: Logger): Promise<void> {
    const { streamId, requestId: _, ...command } = this.#request;
    try {
      for await (const batch of chat.reply(
        { ...command, id: streamId },
        { signal: this.#abort.signal, logger },
      )) {
        if (this.#log.ended) return;
        this.#append(batch);
      }
      if (!this.#cancelling)
        this.#fail(
          new WaggleError('AGENT_DISCONNECTED', { agent: this.#who, why: 'it ended without "done"' }),
        );
    } catch (error) {
      if (!this.#cancelling) this.#fail(toClientError(error));
    }
    if (this.#cancelling) this.#endCancelled();
  }

  #append(batch: readonly (StreamChunk | AgentChosen)[]): void {
    const frames: StreamFrame[] = [];
    for (const chunk of batch) {
      if (chunk.type === 'agent') this.#choose(chunk, frames);
      else if (chunk.type === 'done') {
        this.#log.append(frames);
        this.#finish(chunk);
        return;
      } else this.#translate(chunk, frames);
    }
    this.#log.append(frames);
    const { replyLimitChars } = this.#limits;
    if (this.#chars > replyLimitChars) {
      const why = `its answer is longer than ${replyLimitChars} characters`;
      this.#fail(new WaggleError('AGENT_FAILED', { agent: this.#who, why }));
    }
  }

  #choose({ agent, fallback }: AgentChosen, frames: StreamFrame[]): void {
    this.#agent = agent;
    if (fallback) {
      this.#fallback = { text: '' };
      return;
    }
    const { streamId, conversationId, requestId } = this.#request;
    frames.push({
      type: 'streaming_start',
      streamId,
      agent,
      conversationId,
      ...(requestId && { requestId }),
    });
    this.#events.started(this, agent);
  }

  #translate(chunk: Exclude<StreamChunk, { type: 'done' }>, frames: StreamFrame[]): void {
    const { streamId } = this.#request;
    this.#firstTokenMs ??= this.#elapsedMs;
    if (chunk.type === 'tool_call') {
      const { id, name, arguments: args } = chunk;
      if (!this.#fallback) frames.push({ type: 'streaming_tool_call', streamId, id, name, arguments: args });
      return;
    }
    const { type, content } = chunk;
    this.#chars += content.length;
    if (!this.#fallback)
      frames.push({ type: type === 'text' ? 'streaming_token' : 'streaming_thinking', streamId, content });
    else if (type === 'text') this.#fallback.text += content;
  }

  #finish({ reason, usage }: Extract<StreamChunk, { type: 'done' }>): void {
    const { streamId, conversationId, requestId } = this.#request;
    const agent = this.#who;
    const firstTokenMs = this.#firstTokenMs;
    const timings = {
      queuedMs: 0,
      ...(firstTokenMs !== undefined && { firstTokenMs }),
      totalMs: this.#elapsedMs,
    };
    const used = usage && { usage };
    this.#end(
      this.#fallback
        ? {
            type: 'message',
            content: this.#fallback.text,
            agent,
            conversationId,
            streamId,
            ...(requestId && { requestId }),
            ...used,
          }
        : { type: 'streaming_end', streamId, reason, agent, ...used, timings },
      { type: 'finished', agent, ...used, timings },
    );
  }

  #fail(error: WaggleError<ClientErrorCode>): void {
    const { code, message, retryAfterMs } = error;
    const { streamId, requestId } = this.#request;
    if (!this.#log.ended) this.#failure = error;
    this.#end(
      {
        type: 'error',
        code,
        message,
        ...(this.#agent && { streamId }),
        ...(requestId && { requestId }),
        ...(retryAfterMs && { retryAfterMs }),
      },
      { type: 'failed', error },
    );
    this.#abort.abort();
  }

  #endCancelled(): void {
    if (!this.#cancelling) return;
    const { reason, at } = this.#cancelling;
    const upstreamClosedMs = Math.round(performance.now() - at);
    const { streamId } = this.#request;
    this.#end({ type: 'cancelled', streamId, reason, upstreamClosedMs }, { type: 'cancelled', reason });
  }

  #end(frame: TerminalFrame, ending: Ending): void {
    if (this.#log.ended) return;
    clearTimeout(this.#deadline);
    this.#log.append([frame]);
    this.#events.ended(this, ending);
  }

  get #who(): string {
    return this.#agent ?? this.#request.agent ?? 'queen';
  }

  get #elapsedMs(): number {
    return Math.round((performance.now() - this.#startedAt) * 10) / 10;
  }
}
