import type { z } from '#zod';
import type { ClientErrorCode, WaggleError } from '../errors.js';
import { createToken } from '../services.js';
import type { Principal } from './access.js';
import type { Logprob, ToolCall, ToolCallPiece } from './agent.js';
import type { ChatCommand, ClientAnswer, ContextReport } from './chat.js';
import type { endingToolCall, TraceContext } from './chat-fields.js';
import type { EngineUser } from './engine-user.js';
import type {
  cancelReason,
  cancelReceipt,
  serverFrame,
  streamFrame,
  terminalFrame,
  timings,
} from './frames.js';
import type { ReadableListener } from './readable.js';
import type { TaskPriority } from './task.js';
import type { Usage } from './usage.js';

/** Milliseconds since the request was accepted. */
export type Timings = Readonly<z.infer<typeof timings>>;

/** A frame of a reply: `streaming_start` first, then content, then exactly one of the four terminal frames. */
export type StreamFrame = Readonly<z.infer<typeof streamFrame>>;

/** The last frame of a stream. */
export type TerminalFrame = Readonly<z.infer<typeof terminalFrame>>;

/** Any frame to a WebSocket client. */
export type ServerFrame = Readonly<z.infer<typeof serverFrame>>;

/**
 * One frame of a reply's log, and the position right after it: the UTF-16 code units of all `content` so far, text and
 * thinking alike.
 */
export interface LogEntry {
  readonly type: StreamFrame['type'];
  /** Built on each access: senders use `json`. */
  readonly frame: StreamFrame;
  readonly position: number;
  /** The frame as JSON. */
  readonly json: string;
  /** The same, with `position` if it is a piece of content. */
  readonly positioned: string;
  /** The call of a `tool_call` frame, its arguments as text. */
  readonly toolCall?: ToolCall;
}

/** A part of an incomplete tool call, whose complete call is an entry of its own; or what is known of the text that follows. */
export type PieceEntry =
  | { readonly type: 'tool_call_piece'; readonly piece: ToolCallPiece }
  | { readonly type: 'logprobs'; readonly logprobs: readonly Logprob[] };

/** A reply as one piece. */
export interface WholeReply {
  readonly content: string;
  readonly agent: string;
  readonly usage?: Usage;
  /** Calls of the client's own tools, with which the answer ends. */
  readonly toolCalls?: z.infer<typeof endingToolCall>[];
  readonly context?: ContextReport;
  readonly truncated?: true;
}

/** `client`: requested; `disconnected`: the last reader left; `abandoned`: the grace period is over; `shutdown`: the server stops. */
export type CancelReason = z.infer<typeof cancelReason>;

/** The agents and tools that a cancel has stopped. */
export type CancelReceipt = Readonly<z.infer<typeof cancelReceipt>>;

/** A request for a reply. */
export interface StartCommand extends ChatCommand, TraceContext {
  /** The same id of the same user for the same request returns the same reply while its log is kept and it has not failed. */
  readonly requestId?: string | undefined;
  /** The endpoint of the request, as `POST /chat`: part of the request that a `requestId` identifies. */
  readonly endpoint?: string | undefined;
  /**
   * After the last reader has left: `continue` for the grace period (the default), or `cancel` at once. `finish`: go on to the
   * end without any, for a reply that the server starts.
   */
  readonly onDisconnect?: 'continue' | 'cancel' | 'finish' | undefined;
  /** The order in which replies leave the line. */
  readonly priority?: TaskPriority | undefined;
}

/**
 * One reader of one reply. Each pull returns all new entries. Leaving (`return`) is not a cancel. Servers of many readers
 * take instead of pulling: that costs no promise.
 */
export interface ReplyReader<Entry = LogEntry> extends AsyncIterableIterator<readonly Entry[]> {
  /** The new entries, perhaps none; undefined once the reply has ended and all were taken, or the reader has left. */
  take(): readonly Entry[] | undefined;
  /** Sets the callback for new entries: at most one call a turn of the event loop. */
  onReadable(listener: ReadableListener): void;
  return(): Promise<IteratorResult<readonly Entry[]>>;
  /** The consumer is slow: the next pull returns its backlog merged into few frames. */
  merge(): void;
}

/** The state of a reply that has not ended, for operators. */
export interface ReplyProgress {
  /** `waiting`: in the line. `starting`: its agent was asked. `streaming`: content has come. */
  readonly phase: 'waiting' | 'starting' | 'streaming';
  /** The agent that answers; the requested one until that is known. */
  readonly agent: string;
  /** As requested. */
  readonly model?: string;
  readonly readers: number;
  /** Since the newest piece of content. */
  readonly quietMs?: number;
}

/** One reply: an append-only log with any number of readers. */
export interface Reply {
  readonly streamId: string;
  readonly conversationId: string;
  readonly userId: string;
  /** True once the terminal frame is in the log. */
  readonly ended: boolean;
  /** The UTF-16 code units of all `content` so far. */
  readonly position: number;
  /** True once a reader has had all of it, the terminal frame included. */
  readonly wasRead: boolean;
  /** Undefined after the end. */
  readonly progress?: ReplyProgress | undefined;
  /** The request, until its agent has stopped. */
  readonly command?: StartCommand | undefined;
  /** The error of a reply that has failed. */
  readonly failure: WaggleError<ClientErrorCode> | undefined;
  /**
   * All frames from the first to the terminal one; or, with a position, `streaming_start` with `resumed` and then
   * everything after that position. @throws INVALID_REQUEST for a position beyond the content so far, where that is known:
   * of a reply that runs in another process, more may have been read there
   */
  read(position?: number): ReplyReader;
  /**
   * The same from the first frame on, with the pieces of tool calls, log probabilities, and each piece of content as the agent wrote it. With
   * `merge: false` every reader gets the same entries, however late or slow it is.
   */
  readPieces(options?: { readonly merge?: boolean }): ReplyReader<LogEntry | PieceEntry>;
  /** The whole reply, once it has ended. @throws its failure, SHUTTING_DOWN, AGENT_DISCONNECTED after a cancel or when `signal` aborts */
  whole(signal?: AbortSignal): Promise<WholeReply>;
  /** Stops the agent. Resolves when its upstream is closed and `cancelled` is in the log; with undefined if it had ended or was cancelled before. */
  cancel(reason: CancelReason): Promise<CancelReceipt | undefined>;
  /**
   * Gives the answer of its client about a tool call: a promise where the reply runs in another process.
   * @throws TOOL_CALL_UNKNOWN when it does not wait for one, or has it
   */
  answer(callId: string, answer: ClientAnswer): void | Promise<void>;
}

/** Counts of all replies. */
export interface StreamStats {
  readonly running: number;
  readonly waiting: number;
  /** Ended, and still readable. */
  readonly kept: number;
  readonly readers: number;
  /** Characters in all logs. */
  readonly chars: number;
  /** Pieces of content, thinking included, since the start. */
  readonly tokens: number;
}

/** Counts of replies that are read on other servers than the one that runs them. */
export interface SharedStreamStats {
  /** Readers here of replies that run elsewhere. */
  readonly remoteReaders: number;
  /** Characters of replies that run here and that the others cannot read yet. */
  readonly unflushedChars: number;
  /** Times that a part of a reply did not come and was read from the engine, since the start. */
  readonly gaps: number;
  /** Replies that have changed their server since the start: run again here, ended here as lost, or lost to another one. */
  readonly takenOver: { readonly rerun: number; readonly lost: number; readonly fenced: number };
}

/** Starts replies and keeps their logs. */
export interface ChatStreams extends EngineUser {
  /**
   * Replies of one conversation are answered in the order of these calls.
   * @throws QUEUE_FULL when too many replies run and wait, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH when the id of another request comes again
   */
  start(command: StartCommand): Promise<Reply>;
  /**
   * The reply with this id, running or ended; undefined when it never existed, its log is gone, or it belongs to another user
   * than `principal`. Without one, in an open server, the id alone gives access.
   */
  find(streamId: string, principal?: Principal): Promise<Reply | undefined>;
  /** All replies of this process that can be read. An id gives access: show it only to its owner. */
  list(): readonly Reply[];
  /** Those of a user in this process that have not ended. */
  runningOf?(userId: string): readonly Reply[];
  /** Of this process. */
  readonly stats: StreamStats;
  /** Where several servers share the logs. */
  readonly sharedStats?: SharedStreamStats;
  /** @deprecated The same as `stats`. */
  readonly figures?: StreamStats;
}

/** Provided by the plugin that keeps the logs. */
export const ChatStreams = createToken<ChatStreams>('chat.streams');

declare module './bus.js' {
  interface KernelEvents {
    /** A reply was accepted: it runs, or waits in the line. */
    'chat:accepted': {
      readonly streamId: string;
      readonly userId: string;
      readonly conversationId: string;
      readonly traceparent?: string | undefined;
      readonly tracestate?: string | undefined;
      readonly baggage?: string | undefined;
    };
    /** A reply began, from this agent. */
    'chat:started': { readonly streamId: string; readonly userId: string; readonly agent: string };
    /** A reply is complete; `tokens` counts its pieces of content. */
    'chat:finished': {
      readonly streamId: string;
      readonly userId: string;
      readonly agent: string;
      readonly usage?: Usage;
      readonly tokens: number;
      readonly timings: Timings;
    };
    'chat:failed': {
      readonly streamId: string;
      readonly userId: string;
      readonly code: string;
      readonly error: unknown;
      readonly timings: Timings;
    };
    'chat:cancelled': {
      readonly streamId: string;
      readonly userId: string;
      readonly reason: CancelReason;
      readonly timings: Timings;
    };
  }
}
