import type { ClientErrorCode, WaggleError } from '../errors.js';
import { createToken } from '../services.js';
import type { FinishReason, Usage } from './agent.js';
import type { ChatCommand } from './chat.js';

/** Milliseconds since the request was accepted. */
export interface Timings {
  readonly queuedMs: number;
  readonly firstTokenMs?: number;
  readonly totalMs: number;
}

/** What a reader of a reply gets: `streaming_start` first, then content, then exactly one of the four terminal frames. */
export type StreamFrame =
  | {
      readonly type: 'streaming_start';
      readonly streamId: string;
      readonly agent: string;
      readonly conversationId: string;
      readonly requestId?: string;
    }
  | {
      readonly type: 'streaming_token' | 'streaming_thinking';
      readonly streamId: string;
      readonly content: string;
    }
  | {
      readonly type: 'streaming_tool_call';
      readonly streamId: string;
      readonly id: string;
      readonly name: string;
      readonly arguments: unknown;
    }
  | TerminalFrame;

export type TerminalFrame =
  | {
      readonly type: 'streaming_end';
      readonly streamId: string;
      readonly reason: FinishReason;
      readonly agent: string;
      readonly usage?: Usage;
      readonly timings: Timings;
    }
  | {
      readonly type: 'message';
      readonly content: string;
      readonly agent: string;
      readonly conversationId: string;
      readonly streamId: string;
      readonly requestId?: string;
      readonly usage?: Usage;
    }
  | {
      readonly type: 'cancelled';
      readonly streamId: string;
      readonly reason: CancelReason;
      readonly upstreamClosedMs: number;
    }
  | {
      readonly type: 'error';
      readonly code: string;
      readonly message: string;
      /** Absent when the reply failed before its `streaming_start`. */
      readonly streamId?: string;
      readonly requestId?: string;
      readonly retryAfterMs?: number;
    };

/** One frame of a reply's log, and the position (UTF-16 code units of text so far) right after it. */
export interface LogEntry {
  readonly frame: StreamFrame;
  readonly position: number;
}

export interface WholeReply {
  readonly content: string;
  readonly agent: string;
  readonly usage?: Usage;
}

export type CancelReason = 'client' | 'disconnected' | 'shutdown';

/** One answer: an append-only log with any number of readers. */
export interface Reply {
  readonly streamId: string;
  readonly conversationId: string;
  /** Why it failed, once its log ends with `error`. */
  readonly failure: WaggleError<ClientErrorCode> | undefined;
  /** Everything from the first frame to the terminal one; each pull gives all that is new. Leaving early is not a cancel. */
  read(): AsyncIterable<readonly LogEntry[]>;
  /** The answer as one piece, when it has ended. @throws why it failed, SHUTTING_DOWN, AGENT_DISCONNECTED after a cancel */
  whole(): Promise<WholeReply>;
  /** Stops the agent. Resolves when its upstream is closed and the terminal frame is in the log; at once after the end. */
  cancel(reason: CancelReason): Promise<void>;
}

/** Starts replies and keeps their logs. */
export interface ChatStreams {
  /** @throws QUEUE_FULL when too many replies run, SHUTTING_DOWN */
  start(command: ChatCommand & { readonly requestId?: string | undefined }): Reply;
}

export const ChatStreams = createToken<ChatStreams>('chat.streams');

declare module '../bus.js' {
  interface KernelEvents {
    /** A reply began; `agent` answers. */
    'chat:started': { readonly streamId: string; readonly agent: string };
    /** A reply ended as its agent meant it to. */
    'chat:finished': {
      readonly streamId: string;
      readonly agent: string;
      readonly usage?: Usage;
      readonly timings: Timings;
    };
    'chat:failed': { readonly streamId: string; readonly code: string; readonly error: unknown };
    'chat:cancelled': { readonly streamId: string; readonly reason: CancelReason };
  }
}
