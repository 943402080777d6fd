import type { WaggleClientError } from './error.js';

/** What the client needs of a WebSocket: the browser's own has it, and the class of the package `ws`. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number): void;
  /** Ends a socket whose peer is silent; browsers do that by themselves. */
  terminate?(): void;
}

/** What `new` makes a WebSocket. */
export type WebSocketClass = new (url: string) => WebSocketLike;

/** How to come back after a lost connection: exponential back-off with full jitter. */
export interface ReconnectOptions {
  /** Tries in a row before giving up. 10 when absent. */
  readonly attempts?: number | undefined;
  /** The longest wait before the first try; it doubles with each one. 250 when absent. */
  readonly baseMs?: number | undefined;
  /** The longest wait before any try. 10,000 when absent. */
  readonly maxMs?: number | undefined;
}

/** `draining`: the server is about to stop; new requests wait for the next connection. */
export type ClientState = 'connecting' | 'open' | 'draining' | 'reconnecting' | 'closed';

/** How to connect. */
export interface ConnectOptions {
  /** The global one when absent. Node.js 20 has none: pass the class of the package `ws`. */
  readonly WebSocket?: WebSocketClass | undefined;
  /** `false`: the first lost connection ends the client. */
  readonly reconnect?: ReconnectOptions | false | undefined;
  /** How long the server may take to accept a connection, to confirm a cancel, and to close. 10,000 when absent. */
  readonly answerTimeoutMs?: number | undefined;
  /** How often the server is pinged; one that says nothing from one ping to the next is gone. 15,000 when absent. */
  readonly heartbeatMs?: number | undefined;
  /** Called on every change, with the reason when it is `closed` by anything but `close()`. */
  readonly onState?: ((state: ClientState, error?: WaggleClientError) => void) | undefined;
}

/** What goes with any request. */
export interface RequestOptions {
  /** The same id joins the reply that it already started. A random one when absent. */
  readonly requestId?: string | undefined;
  /** Cancels; whoever waits gets its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called when others are before it, with their number. */
  readonly onQueued?: ((ahead: number) => void) | undefined;
}

/** How a reply may be taken up again. */
export interface ResumeOptions extends RequestOptions {
  /** UTF-16 code units that are here already. 0 when absent. */
  readonly position?: number | undefined;
  /** The longest silence within a reply, a lost connection included. 300,000 when absent. */
  readonly timeoutMs?: number | undefined;
}

/** What may be asked of a reply besides its content. */
export interface ChatOptions extends RequestOptions {
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly conversationId?: string | undefined;
  readonly options?: {
    readonly temperature?: number | undefined;
    readonly topP?: number | undefined;
    readonly maxTokens?: number | undefined;
    readonly seed?: number | undefined;
    readonly stop?: readonly string[] | undefined;
  };
  readonly priority?: 'low' | 'normal' | 'high' | undefined;
  /** What becomes of the reply when the connection is lost. `continue` when absent, so that it can be resumed. */
  readonly onDisconnect?: 'continue' | 'cancel' | undefined;
  /** The longest silence within the reply, a lost connection included. 300,000 when absent. */
  readonly timeoutMs?: number | undefined;
}

/** What may be asked of a task besides its input. */
export interface TaskOptions extends RequestOptions {
  readonly priority?: 'low' | 'normal' | 'high' | 'urgent' | undefined;
  /** How long the task may run; also the longest silence, 300,000 when absent. */
  readonly timeoutMs?: number | undefined;
  readonly onProgress?: ((progress: unknown) => void) | undefined;
}

/** A tool that the model wants to be called. */
export interface ToolCall {
  readonly type: 'tool_call';
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
  /** What the model wrote, where that is not JSON. */
  readonly argumentsText?: string | undefined;
}

/** What an answer has cost, in tokens; the details where the model server gave them. */
export type Usage = Readonly<Record<'inputTokens' | 'outputTokens', number>> &
  Readonly<Partial<Record<'cachedTokens' | 'reasoningTokens', number | undefined>>>;

/** A piece of a reply. Text that comes faster than it is pulled is merged; no character is ever cut in two. */
export type Chunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  | ToolCall;

/** How a cancel went. */
export interface CancelReceipt {
  readonly reason: string;
  /** How long after the cancel the model's connection was closed. */
  readonly upstreamClosedMs: number;
}

/** A reply as a whole. */
export interface Answer {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly ToolCall[];
  /** Why it ended: `stop`, `length`, …, or `cancelled`. */
  readonly reason: string;
  readonly streamId: string | undefined;
  readonly agent: string | undefined;
  readonly conversationId: string | undefined;
  readonly usage?: Usage | undefined;
  readonly timings?:
    | { readonly queuedMs: number; readonly firstTokenMs?: number; readonly totalMs: number }
    | undefined;
  /** When it was cancelled on this client's behalf. */
  readonly cancelled?: CancelReceipt | undefined;
}

/** A reply as it comes. Leaving the loop over it cancels it. */
export interface Reply extends AsyncIterableIterator<Chunk> {
  readonly requestId: string;
  /** A randomId, known once the reply started: whoever has it may resume or cancel the reply. */
  readonly streamId: string | undefined;
  readonly agent: string | undefined;
  readonly conversationId: string | undefined;
  /** All text so far, also after a failure. */
  readonly text: string;
  /** UTF-16 code units so far, thinking included: where `resume` goes on. */
  readonly position: number;
  /** The whole of it, whether or not anybody pulls. */
  readonly result: Promise<Answer>;
  /** Stops the model. `undefined` when the reply had ended before. */
  cancel(): Promise<CancelReceipt | undefined>;
}
