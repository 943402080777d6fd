import type { z } from '#zod';
import type { ClientErrorCode, WaggleError } from '../errors.js';
import { createToken } from '../services.js';
import type { ToolCall, ToolCallPiece } from './agent.js';
import type { ChatCommand } from './chat.js';
import type { TraceContext } from './chat-fields.js';
import type { cancelReason, serverFrame, streamFrame, terminalFrame, timings } from './frames.js';
import type { ReadableListener } from './readable.js';
import type { TaskPriority } from './task.js';
import type { Usage } from './usage.js';

/** Milliseconds since the request was accepted. */
export type Timings = Readonly<z.infer<typeof timings>>;

/** What a reader of a reply gets: `streaming_start` first, then content, then exactly one of the four terminal frames. */
export type StreamFrame = Readonly<z.infer<typeof streamFrame>>;

/** How a stream ends. */
export type TerminalFrame = Readonly<z.infer<typeof terminalFrame>>;

/** Whatever a WebSocket client may get. */
export type ServerFrame = Readonly<z.infer<typeof serverFrame>>;

/**
 * One frame of a reply's log, and the position right after it: the UTF-16 code units of all `content` so far, text and
 * thinking alike.
 */
export interface LogEntry {
  readonly type: StreamFrame['type'];
  /** Made anew each time: whoever sends it takes `json`. */
  readonly frame: StreamFrame;
  readonly position: number;
  /** The frame as JSON. */
  readonly json: string;
  /** The same with `position` where it is a piece of content. */
  readonly positioned: string;
  /** What a frame of a tool call says, its arguments as text. */
  readonly toolCall?: ToolCall;
}

/** A part of a tool call that is still being written. The whole call is an entry of its own. */
export interface PieceEntry {
  readonly type: 'tool_call_piece';
  readonly piece: ToolCallPiece;
}

/** A reply as one piece. */
export interface WholeReply {
  readonly content: string;
  readonly agent: string;
  readonly usage?: Usage;
}

/** `client` asked for it, `disconnected` and `abandoned` when nobody reads any more, at once or after the grace period. */
export type CancelReason = z.infer<typeof cancelReason>;

/** What a user wants to be answered, and how the reply is to be kept. */
export interface StartCommand extends ChatCommand, TraceContext {
  /** The same id of the same user for the same request gives the same reply again, as long as its log is kept and it has not failed. */
  readonly requestId?: string | undefined;
  /** Where the request came in, as `POST /chat`: part of the request that a `requestId` stands for. */
  readonly endpoint?: string | undefined;
  /** What happens when the last reader has left: `continue` for the grace period (the default), or `cancel` at once. */
  readonly onDisconnect?: 'continue' | 'cancel' | undefined;
  /** Who is served first where replies have to wait. */
  readonly priority?: TaskPriority | undefined;
  /** The client's own notes, kept as long as the reply. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * One reader of one reply. Each pull gives everything that is new. Leaving (`return`) is not a cancel. Whoever serves many
 * readers takes instead of pulling: that costs no promise.
 */
export interface ReplyReader<Entry = LogEntry> extends AsyncIterableIterator<readonly Entry[]> {
  /** What is new now, perhaps nothing; undefined once all of it was taken and the reply has ended, or the reader has left. */
  take(): readonly Entry[] | undefined;
  /** Calls back, at most once a turn of the event loop, when there is something to take. */
  onReadable(listener: ReadableListener): void;
  return(): Promise<IteratorResult<readonly Entry[]>>;
  /** The consumer was held up: the next pull gives its backlog merged into few frames. */
  merge(): void;
}

/** One answer: an append-only log with any number of readers. */
export interface Reply {
  readonly streamId: string;
  readonly conversationId: string;
  /** True once the terminal frame is in the log. */
  readonly ended: boolean;
  /** The UTF-16 code units of all `content` so far. */
  readonly position: number;
  /** True once a reader has had all of it, the terminal frame included. */
  readonly wasRead: boolean;
  /** Why it failed, once its log ends with `error`. */
  readonly failure: WaggleError<ClientErrorCode> | undefined;
  /**
   * Everything from the first frame to the terminal one; or, with a position, `streaming_start` with `resumed` and then
   * everything after that position. @throws INVALID_REQUEST for a position beyond what was sent
   */
  read(position?: number): ReplyReader;
  /** The same from the first frame on, with the pieces of tool calls as they come. Who comes late misses those of calls that are whole. */
  readPieces(): ReplyReader<LogEntry | PieceEntry>;
  /** The answer as one piece, when it has ended. @throws why it failed, SHUTTING_DOWN, AGENT_DISCONNECTED after a cancel or when `signal` aborts */
  whole(signal?: AbortSignal): Promise<WholeReply>;
  /** Stops the agent. Resolves when its upstream is closed and `cancelled` is in the log; with undefined when somebody else has ended or cancelled it. */
  cancel(reason: CancelReason): Promise<{ readonly upstreamClosedMs: number } | undefined>;
}

/** How much is going on. */
export interface StreamStats {
  readonly running: number;
  readonly waiting: number;
  /** Ended, and still readable. */
  readonly kept: number;
  readonly readers: number;
  /** Characters in all logs. */
  readonly chars: number;
  /** Pieces of answers, thinking included, since the start. */
  readonly tokens: number;
}

/** Starts replies and keeps their logs. */
export interface ChatStreams {
  /** @throws QUEUE_FULL when too many replies run and wait, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH when the id of another request comes again */
  start(command: StartCommand): Reply;
  /** The reply behind an id, running or ended; undefined when there never was one or its log is gone. */
  find(streamId: string): Reply | undefined;
  /** Every reply that can be read. Ids are capabilities: they are shown to nobody but their owner. */
  list(): readonly Reply[];
  readonly stats: StreamStats;
  /** @deprecated The same as `stats`. */
  readonly figures?: StreamStats;
}

/** Provided by the plugin that keeps the logs. */
export const ChatStreams = createToken<ChatStreams>('chat.streams');

declare module '../bus.js' {
  interface KernelEvents {
    /** A reply was accepted, and runs or waits for its turn. */
    'chat:accepted': {
      readonly streamId: string;
      readonly conversationId: string;
      readonly traceparent?: string | undefined;
      readonly tracestate?: string | undefined;
      readonly baggage?: string | undefined;
    };
    /** A reply began; `agent` answers. */
    'chat:started': { readonly streamId: string; readonly agent: string };
    /** A reply ended as its agent meant it to, after so many pieces of content. */
    'chat:finished': {
      readonly streamId: string;
      readonly agent: string;
      readonly usage?: Usage;
      readonly tokens: number;
      readonly timings: Timings;
    };
    'chat:failed': {
      readonly streamId: string;
      readonly code: string;
      readonly error: unknown;
      readonly timings: Timings;
    };
    'chat:cancelled': {
      readonly streamId: string;
      readonly reason: CancelReason;
      readonly timings: Timings;
    };
  }
}
