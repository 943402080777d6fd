import type { ContextReport } from '../../contracts/chat.js';
import type { LogEntry, PieceEntry, Reply, TerminalFrame } from '../../contracts/stream.js';
import { type ClientErrorCode, WaggleError } from '../../errors.js';
import type { AnswerEvents } from './answer-events.js';
import { GrowingCalls } from './growing-calls.js';

type Failed = Extract<TerminalFrame, { readonly type: 'error' | 'cancelled' }>;

/** Turns the log of a reply into the events of an answer. Calls that the server runs are no part of it. */
export class AnswerReader {
  readonly #events: AnswerEvents;
  readonly #reply: Reply;
  readonly #asked: string;
  readonly #calls: GrowingCalls;
  /** Position of the last tool call. */
  #calledAt = -1;
  #agent: string | undefined;
  #context: ContextReport | undefined;
  #begun = false;
  #failure: WaggleError<ClientErrorCode> | undefined;

  /** `asked` is the requested agent. */
  constructor(events: AnswerEvents, reply: Reply, asked: string) {
    this.#events = events;
    this.#reply = reply;
    this.#asked = asked;
    this.#calls = new GrowingCalls(events);
  }

  /** The answering agent, once it is known. */
  get agent(): string | undefined {
    return this.#agent;
  }

  /** The part of the conversation that the agent has got, once that is known. */
  get context(): ContextReport | undefined {
    return this.#context;
  }

  /** Whether an answer has begun. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The error of a reply that has failed or was cancelled. */
  get failure(): WaggleError<ClientErrorCode> | undefined {
    return this.#failure;
  }

  /** Begins the answer ahead of its first content. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#events.begin(this.#agent ?? this.#asked);
  }

  read(entries: readonly (LogEntry | PieceEntry)[]): void {
    for (const entry of entries) this.#read(entry);
  }

  #read(entry: LogEntry | PieceEntry): void {
    if (entry.type === 'tool_call_piece') {
      this.begin();
      this.#calls.piece(entry.piece);
      return;
    }
    if (entry.type === 'logprobs') {
      this.#events.logprobs?.(entry.logprobs);
      return;
    }
    const { frame, toolCall, position } = entry;
    switch (frame.type) {
      case 'streaming_start':
        this.#agent = frame.agent;
        this.#context = frame.context;
        break;
      case 'streaming_token':
        this.begin();
        this.#events.text(frame.content);
        break;
      case 'streaming_thinking':
        this.begin();
        this.#events.thinking(frame.content);
        break;
      case 'streaming_tool_call':
        if (!toolCall || toolCall.executor === 'server') break;
        this.#calledAt = position;
        this.begin();
        this.#calls.whole(toolCall);
        break;
      case 'message':
        this.#agent = frame.agent;
        this.#context = frame.context;
        this.begin();
        if (frame.content !== '') this.#events.text(frame.content);
        this.#end('stop', this.#calls.count > 0, frame);
        break;
      case 'streaming_end':
        this.begin();
        this.#end(frame.reason, this.#calledAt === position, frame);
        break;
      case 'error':
      case 'cancelled':
        this.#failure = failureOf(frame, this.#reply, this.#agent ?? this.#asked);
        this.#events.fail(this.#failure, frame.type === 'cancelled' ? frame.reason : undefined);
    }
  }

  #end(
    reason: string,
    isCallLast: boolean,
    frame: Extract<TerminalFrame, { readonly type: 'message' | 'streaming_end' }>,
  ): void {
    const { agent, usage, truncated } = frame;
    const timings = frame.type === 'streaming_end' ? frame.timings : undefined;
    const end = endOf(reason, this.#calls.count, isCallLast);
    this.#events.end({ reason: end, agent, usage, timings, context: this.#context, truncated });
  }
}

/** Finish reason of an answer: one that ends with a tool call stopped for it, whatever the model says. */
function endOf(reason: string, toolCalls: number, isCallLast: boolean): string {
  if (toolCalls === 0) return reason === 'tool_calls' ? 'stop' : reason;
  return isCallLast && reason !== 'length' ? 'tool_calls' : reason;
}

/** Why a reply of `agent` ended without an answer. */
function failureOf(frame: Failed, reply: Reply, agent: string): WaggleError<ClientErrorCode> {
  if (frame.type === 'error') return reply.failure ?? new WaggleError('INTERNAL', {});
  if (frame.reason === 'shutdown') return new WaggleError('SHUTTING_DOWN', {});
  return new WaggleError('AGENT_DISCONNECTED', { agent, why: 'the reply was cancelled' });
}
