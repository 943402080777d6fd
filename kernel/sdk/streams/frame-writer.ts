import type { Delegation, StreamChunk, ToolCall, ToolCallPiece, ToolResult } from '../../contracts/agent.js';
import type { AgentChosen, ChatChunk, ContextReport } from '../../contracts/chat.js';
import type {
  CancelReason,
  CancelReceipt,
  StartCommand,
  StreamFrame,
  TerminalFrame,
  Timings,
} from '../../contracts/stream.js';
import type { ClientErrorCode, WaggleError } from '../../errors.js';
import { errorFrame } from '../error-frame.js';
import type { ReplyLog } from './reply-log.js';

/** A request that was accepted, with the ids that it was given. */
export interface ReplyRequest extends StartCommand {
  /** The same as `streamId`, for the chat agent. */
  readonly id: string;
  readonly streamId: string;
  readonly conversationId: string;
}

/** The part of a request that its frames repeat. */
export type ReplyIds = Pick<ReplyRequest, 'streamId' | 'conversationId' | 'requestId' | 'userId' | 'agent'>;

/** Characters that a piece takes besides its text. */
const pieceChars = 4;

type Done = Extract<StreamChunk, { type: 'done' }>;

/** Writes the chunks of the chat agent into the log of one stream, and builds its other frames. */
export class FrameWriter {
  readonly #request: ReplyIds;
  readonly #log: ReplyLog;
  #agent: string | undefined;
  /** The text of a fallback agent: sent as one `message`. */
  #fallbackText: string | undefined;
  #context: ContextReport | undefined;
  #chars = 0;
  #tokens = 0;

  constructor(request: ReplyIds, log: ReplyLog) {
    this.#request = request;
    this.#log = log;
  }

  /** The agent that answers; the requested one until that is known. */
  get agent(): string {
    return this.#agent ?? this.#request.agent ?? 'queen';
  }

  /** Characters of content and tool calls so far, those held back for a `message` included. */
  get chars(): number {
    return this.#chars;
  }

  get text(): string {
    return this.#fallbackText ?? this.#log.text;
  }

  /** Pieces of content so far. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Whether `streaming_start` was written. */
  get started(): boolean {
    return this.#agent !== undefined;
  }

  queued(ahead: number): StreamFrame {
    return { type: 'queue_update', streamId: this.#request.streamId, ahead, ...this.#requestId };
  }

  /** Returns the `done` chunk, if the batch has it. */
  write(batch: readonly ChatChunk[]): Done | undefined {
    let done: Done | undefined;
    for (const chunk of batch) {
      switch (chunk.type) {
        case 'text':
        case 'thinking':
          // It would take room and carry nothing.
          if (chunk.content === '') break;
          this.#chars += chunk.content.length;
          this.#tokens++;
          if (this.#fallbackText === undefined) this.#log.write(chunk.type, chunk.content);
          else if (chunk.type === 'text') this.#fallbackText += chunk.content;
          break;
        case 'tool_call':
          this.#call(chunk);
          break;
        case 'tool_call_piece':
          this.#piece(chunk);
          break;
        case 'tool_result':
          this.#result(chunk);
          break;
        case 'approval_required':
          this.#chars += this.#log.addApproval(chunk);
          break;
        case 'approval_resolved':
          this.#log.add({ ...chunk, streamId: this.#request.streamId });
          break;
        case 'delegation':
          this.#delegate(chunk);
          break;
        case 'logprobs':
          if (this.#fallbackText === undefined) this.#chars += this.#log.addLogprobs(chunk.logprobs);
          break;
        case 'queued':
          this.#log.add(this.queued(chunk.ahead));
          break;
        case 'agent':
          this.#choose(chunk);
          break;
        case 'done':
          done = chunk;
      }
    }
    this.#log.announce();
    return done;
  }

  end({ reason, usage, truncated }: Done, timings: Timings): TerminalFrame {
    const { streamId, conversationId } = this.#request;
    const { agent } = this;
    const used = usage && { usage };
    const cut = truncated === true ? ({ truncated } as const) : undefined;
    const content = this.#fallbackText;
    if (content === undefined)
      return { type: 'streaming_end', streamId, reason, agent, ...used, ...cut, timings };
    const context = this.#context && { context: this.#context };
    const about = { agent, conversationId, streamId, ...this.#requestId };
    return { type: 'message', content, ...about, ...used, ...context, ...cut };
  }

  error(error: WaggleError<ClientErrorCode>): TerminalFrame {
    const { streamId } = this.#request;
    // Before its start the client knows no stream: the error answers its request.
    const about = { ...(this.started && { streamId }), ...this.#requestId };
    return errorFrame(error, about);
  }

  cancelled(reason: CancelReason, receipt: CancelReceipt): TerminalFrame {
    return { type: 'cancelled', streamId: this.#request.streamId, reason, ...receipt };
  }

  get #requestId(): { readonly requestId?: string } {
    const { requestId } = this.#request;
    return requestId === undefined ? {} : { requestId };
  }

  #choose({ agent, fallback, context }: AgentChosen): void {
    this.#agent = agent;
    this.#context = context;
    const { streamId, conversationId } = this.#request;
    if (fallback) this.#fallbackText = '';
    else
      this.#log.add({
        type: 'streaming_start',
        ...{ streamId, agent, conversationId },
        ...this.#requestId,
        ...(context && { context }),
      });
  }

  #call(call: ToolCall): void {
    this.#chars += this.#log.addCall(call);
  }

  #result({ id, name, output, error, durationMs }: ToolResult): void {
    const { streamId } = this.#request;
    const outcome = error ? { error } : { output };
    this.#chars += this.#log.add({
      type: 'streaming_tool_result',
      ...{ streamId, id, name },
      ...outcome,
      durationMs,
    });
  }

  #delegate({ agent, via, state, parent }: Delegation): void {
    if (via === 'handover') this.#agent = state === 'failed' ? parent : agent;
    this.#log.add({
      type: 'streaming_agent',
      streamId: this.#request.streamId,
      ...{ agent, via, state, parent },
    });
  }

  #piece({ id, name, arguments: args, from, executor }: ToolCallPiece): void {
    if (this.#fallbackText !== undefined || executor === 'server') return;
    this.#chars += pieceChars + args.length;
    this.#log.addPiece({ id, name, arguments: args, from });
  }
}
