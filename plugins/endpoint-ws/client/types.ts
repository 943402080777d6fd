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
  /** The `seq` of the last notification that the program has; 0 for all that are kept. Without it those from now on. */
  readonly after?: number | undefined;
  /** Interval of pings. A server that is silent between two pings is considered gone. Default 15,000. */
  readonly heartbeatMs?: number | undefined;
  /** Called on every change, with an error when the client is `closed` by anything but `close()`. */
  readonly onState?: ((state: ClientState, error?: WaggleClientError) => void) | undefined;
}

/** Frames outside of requests, by type. */
export interface ClientEvents {
  /** A message of the server, outside of any reply. */
  readonly notification: { readonly seq: number; readonly topic: string; readonly data: unknown };
  /** The server no longer has the notifications from the first to the last of these numbers. */
  readonly inbox_gap: { readonly from: number; readonly to: number };
  /** Another connection of the user, or the server, has started a reply: `client.resume(streamId)` reads it. */
  readonly stream_available: {
    readonly streamId: string;
    readonly conversationId: string;
    readonly agent: string;
    readonly question?: string;
    readonly replaces?: number;
  };
  /** The credentials end at this time, in milliseconds since 1970. */
  readonly auth_expiring: { readonly expiresAt: number };
  /** A refused frame; errors of requests fail these as well. */
  readonly error: { readonly code: string; readonly message: string };
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

/** A tool that this program runs for the model. */
export interface ClientTool {
  /** 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
  readonly name: string;
  readonly description?: string | undefined;
  /** A JSON Schema of the arguments. */
  readonly parameters?: object | undefined;
  /** Returns the result, any JSON; a throw is told to the model. Without it: answer with `reply.toolResult`. */
  readonly run?: ((input: never) => unknown) | undefined;
}

/** Options of `chat` and `ask`. */
export interface ChatOptions extends RequestOptions {
  readonly tools?: readonly ClientTool[] | undefined;
  /** Decides whether the server may run a tool. Without it: answer with `reply.approve`. */
  readonly onApproval?: ((question: ApprovalRequired) => boolean | Promise<boolean>) | undefined;
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly conversationId?: string | undefined;
  readonly options?: {
    readonly temperature?: number | undefined;
    readonly topP?: number | undefined;
    readonly maxTokens?: number | undefined;
    readonly seed?: number | undefined;
    readonly stop?: readonly string[] | undefined;
    readonly presencePenalty?: number | undefined;
    readonly frequencyPenalty?: number | undefined;
    readonly reasoningEffort?: 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max' | undefined;
    /** `json`, or a JSON Schema that the answer must match. */
    readonly format?: 'json' | object | undefined;
    readonly toolChoice?: 'none' | 'auto' | 'required' | { readonly name: string } | undefined;
    readonly parallelToolCalls?: boolean | undefined;
    /** `false`: a conversation beyond the context window is refused; else its oldest turns are left out. */
    readonly truncate?: boolean | undefined;
    /** Options of one kind of model server, by its name. */
    readonly providerOptions?: Readonly<Record<string, object>> | undefined;
  };
  /** Pictures beside the text, as data URLs in base64. */
  readonly images?: readonly string[] | undefined;
  readonly priority?: 'low' | 'normal' | 'high' | undefined;
  /** The number of a question of the conversation whose place this one takes. */
  readonly replaces?: number | undefined;
  /**
   * Whether the reply ends with the connection. Default `continue`, so that it can be resumed for a while; `finish`: never.
   */
  readonly onDisconnect?: 'continue' | 'cancel' | 'finish' | undefined;
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
  /** The side that runs it. */
  readonly executor?: 'server' | 'client' | undefined;
}

/** The result of a tool, as the model gets it. */
export interface ToolResult {
  readonly type: 'tool_result';
  readonly id: string;
  readonly name: string;
  readonly output?: unknown;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
  readonly durationMs: number;
}

/** The question whether the server may run a tool. */
export interface ApprovalRequired {
  readonly type: 'approval_required';
  /** The id of the tool call. */
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
  readonly argumentsText?: string | undefined;
  readonly expiresInMs: number;
}

/** The answer to it. */
export interface ApprovalResolved {
  readonly type: 'approval_resolved';
  readonly id: string;
  readonly allow: boolean;
  /** The user; absent if the time was over. */
  readonly by?: string | undefined;
}

/** An agent that works for another one. */
export interface AgentStep {
  readonly type: 'agent';
  readonly agent: string;
  readonly via: 'consult' | 'handover';
  readonly state: 'started' | 'ended' | 'failed';
  readonly parent: string;
}

/** Token usage of an answer, with details if the model server reports them. */
export type Usage = Readonly<Record<'inputTokens' | 'outputTokens', number>> &
  Readonly<Partial<Record<'cachedTokens' | 'reasoningTokens', number | undefined>>>;

/** A chunk of a reply. Text that arrives faster than it is read is merged; characters are never split. */
export type Chunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  | ToolCall
  | ToolResult
  | ApprovalRequired
  | ApprovalResolved
  | AgentStep;

/** Confirmation of a cancel. */
export interface CancelReceipt {
  readonly reason: string;
  /** Time from the cancel until the connection to the model was closed. */
  readonly upstreamClosedMs: number;
  /** The number of agents and tools that have stopped. */
  readonly stopped?: { readonly agents: number; readonly tools: number } | undefined;
  /** Names of agents and tools that ignore the cancel. */
  readonly unstopped?: readonly string[] | undefined;
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
  /** Answers a call of a tool of this program. */
  toolResult(id: string, output: unknown): void;
  /** Reports that a tool of this program has failed. */
  toolError(id: string, reason: string): void;
  /** Answers `approval_required`; the model sees the reason. */
  approve(id: string, allow: boolean, reason?: string): void;
  /** Stops the model. Undefined when the reply had already ended. */
  cancel(): Promise<CancelReceipt | undefined>;
}
