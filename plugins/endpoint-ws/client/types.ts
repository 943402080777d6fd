import type { WaggleClientError } from './error.js';

/** The subset of WebSocket that the client uses: that of browsers and of the package `ws`. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number): void;
  /** Ends a socket whose peer is silent; browsers have no such method. */
  terminate?(): void;
}

/** A WebSocket class. */
export type WebSocketClass = new (url: string) => WebSocketLike;

/** Reconnection after a lost connection: exponential back-off with full jitter. */
export interface ReconnectOptions {
  /** Attempts in a row before giving up. Default 10. */
  readonly attempts?: number | undefined;
  /** Upper limit of the delay before the first attempt; it doubles with each one. Default 250. */
  readonly baseMs?: number | undefined;
  /** Upper limit of the delay before any attempt. Default 10,000. */
  readonly maxMs?: number | undefined;
}

/** State of the connection. `draining`: the server shuts down, new requests wait for the next connection. */
export type ClientState = 'connecting' | 'open' | 'draining' | 'reconnecting' | 'closed';

/** Options of `connect`. */
export interface ConnectOptions {
  /** A key or a token, for a server that asks for credentials; a function is called for each connection, and before a token expires. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Default: the global class. Node.js 20 has none: pass the class of the package `ws`. */
  readonly WebSocket?: WebSocketClass | undefined;
  /** `false`: a lost connection closes the client. */
  readonly reconnect?: ReconnectOptions | false | undefined;
  /** Time limit for the server to accept a connection, confirm a cancel, and close. Default 10,000. */
  readonly answerTimeoutMs?: number | undefined;
  /** Interval of pings. A server that is silent between two pings is considered gone. Default 15,000. */
  readonly heartbeatMs?: number | undefined;
  /** Called on every change, with an error when the client is `closed` by anything but `close()`. */
  readonly onState?: ((state: ClientState, error?: WaggleClientError) => void) | undefined;
}

/** Options of all requests. */
export interface RequestOptions {
  /** Repeating an id joins the reply that it started. Default: a random id. */
  readonly requestId?: string | undefined;
  /** Cancels the request, which fails with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of requests ahead in the queue. */
  readonly onQueued?: ((ahead: number) => void) | undefined;
}

/** Options of `resume`. */
export interface ResumeOptions extends RequestOptions {
  /** UTF-16 code units that were already received. Default 0. */
  readonly position?: number | undefined;
  /** Time limit of silence within the reply, lost connections included. Default 300,000. */
  readonly timeoutMs?: number | undefined;
}

/** Options of `chat` and `ask`. */
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
  /** Whether the reply ends with the connection. Default `continue`, so that it can be resumed. */
  readonly onDisconnect?: 'continue' | 'cancel' | undefined;
  /** Time limit of silence within the reply, lost connections included. Default 300,000. */
  readonly timeoutMs?: number | undefined;
}

/** Options of `task`. */
export interface TaskOptions extends RequestOptions {
  readonly priority?: 'low' | 'normal' | 'high' | 'urgent' | undefined;
  /** Time limit of the task, and of silence. Default for silence: 300,000. */
  readonly timeoutMs?: number | undefined;
  readonly onProgress?: ((progress: unknown) => void) | undefined;
}

/** A tool call requested by the model. */
export interface ToolCall {
  readonly type: 'tool_call';
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
  /** The arguments as text, if they are not JSON. */
  readonly argumentsText?: string | undefined;
}

/** Token usage of an answer, with details if the model server reports them. */
export type Usage = Readonly<Record<'inputTokens' | 'outputTokens', number>> &
  Readonly<Partial<Record<'cachedTokens' | 'reasoningTokens', number | undefined>>>;

/** A chunk of a reply. Text that arrives faster than it is read is merged; characters are never split. */
export type Chunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  | ToolCall;

/** Confirmation of a cancel. */
export interface CancelReceipt {
  readonly reason: string;
  /** Time from the cancel until the connection to the model was closed. */
  readonly upstreamClosedMs: number;
}

/** A complete reply. */
export interface Answer {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly ToolCall[];
  /** Finish reason: `stop`, `length`, …, or `cancelled`. */
  readonly reason: string;
  readonly streamId: string | undefined;
  readonly agent: string | undefined;
  readonly conversationId: string | undefined;
  readonly usage?: Usage | undefined;
  readonly timings?:
    | { readonly queuedMs: number; readonly firstTokenMs?: number; readonly totalMs: number }
    | undefined;
  /** Present if this client cancelled the reply. */
  readonly cancelled?: CancelReceipt | undefined;
}

/** A streamed reply. Leaving a loop over it cancels it. */
export interface Reply extends AsyncIterableIterator<Chunk> {
  readonly requestId: string;
  /** Known once the reply has started. A secret: it allows resuming and cancelling the reply. */
  readonly streamId: string | undefined;
  readonly agent: string | undefined;
  readonly conversationId: string | undefined;
  /** Text so far, also after a failure. */
  readonly text: string;
  /** UTF-16 code units so far, thinking included; the position for `resume`. */
  readonly position: number;
  /** The complete reply, whether or not the chunks are read. */
  readonly result: Promise<Answer>;
  /** Stops the model. Undefined when the reply had already ended. */
  cancel(): Promise<CancelReceipt | undefined>;
}
