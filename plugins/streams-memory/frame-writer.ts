import type {
  AgentChosen,
  CancelReason,
  ClientErrorCode,
  StartCommand,
  StreamChunk,
  StreamFrame,
  TerminalFrame,
  Timings,
  WaggleError,
} from '#kernel';

/** A request that was accepted, with the ids that it was given. */
export interface ReplyRequest extends StartCommand {
  readonly streamId: string;
  readonly conversationId: string;
}

type Done = Extract<StreamChunk, { type: 'done' }>;

/** What one batch of the chat agent comes to. */
export interface Written {
  readonly frames: readonly StreamFrame[];
  /** Characters of content, also where they are held back for a `message`. */
  readonly chars: number;
  /** Pieces of content. */
  readonly tokens: number;
  readonly done: Done | undefined;
}

/** Turns what the chat agent yields into the frames of one stream. */
export class FrameWriter {
  readonly #request: ReplyRequest;
  #agent: string | undefined;
  /** The text of an agent that took over: it goes out in one piece. */
  #fallbackText: string | undefined;

  constructor(request: ReplyRequest) {
    this.#request = request;
  }

  /** Who answers, or who was asked for as long as that is open. */
  get agent(): string {
    return this.#agent ?? this.#request.agent ?? 'queen';
  }

  /** Whether `streaming_start` was written. */
  get started(): boolean {
    return this.#agent !== undefined;
  }

  queued(ahead: number): StreamFrame {
    return { type: 'queue_update', streamId: this.#request.streamId, ahead, ...this.#requestId };
  }

  write(batch: readonly (StreamChunk | AgentChosen)[]): Written {
    const frames: StreamFrame[] = [];
    let chars = 0;
    let tokens = 0;
    let done: Done | undefined;
    for (const chunk of batch) {
      if (chunk.type === 'done') done = chunk;
      else if (chunk.type === 'agent') this.#choose(chunk, frames);
      else {
        if (chunk.type !== 'tool_call') {
          chars += chunk.content.length;
          tokens++;
        }
        if (this.#fallbackText === undefined) frames.push(this.#frameOf(chunk));
        else if (chunk.type === 'text') this.#fallbackText += chunk.content;
      }
    }
    return { frames, chars, tokens, done };
  }

  end({ reason, usage }: Done, timings: Timings): TerminalFrame {
    const { streamId, conversationId } = this.#request;
    const { agent } = this;
    const used = usage && { usage };
    const content = this.#fallbackText;
    if (content === undefined) return { type: 'streaming_end', streamId, reason, agent, ...used, timings };
    return { type: 'message', content, agent, conversationId, streamId, ...this.#requestId, ...used };
  }

  error({ code, message, retryAfterMs }: WaggleError<ClientErrorCode>): TerminalFrame {
    const { streamId } = this.#request;
    // What never started is no stream to the client: the error answers its request.
    const about = { ...(this.started && { streamId }), ...this.#requestId };
    return { type: 'error', code, message, ...about, ...(retryAfterMs && { retryAfterMs }) };
  }

  cancelled(reason: CancelReason, upstreamClosedMs: number): TerminalFrame {
    return { type: 'cancelled', streamId: this.#request.streamId, reason, upstreamClosedMs };
  }

  get #requestId(): { readonly requestId?: string } {
    const { requestId } = this.#request;
    return requestId === undefined ? {} : { requestId };
  }

  #choose({ agent, fallback }: AgentChosen, frames: StreamFrame[]): void {
    this.#agent = agent;
    const { streamId, conversationId } = this.#request;
    if (fallback) this.#fallbackText = '';
    else frames.push({ type: 'streaming_start', streamId, agent, conversationId, ...this.#requestId });
  }

  #frameOf(chunk: Exclude<StreamChunk, Done>): StreamFrame {
    const { streamId } = this.#request;
    if (chunk.type === 'tool_call') {
      const { id, name, arguments: args } = chunk;
      return { type: 'streaming_tool_call', streamId, id, name, arguments: args };
    }
    const type = chunk.type === 'text' ? 'streaming_token' : 'streaming_thinking';
    return { type, streamId, content: chunk.content };
  }
}
