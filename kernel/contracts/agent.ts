import { WaggleError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Usage } from './usage.js';

/** A call of a tool that a model asks for. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** The JSON text exactly as the model wrote it, even if it is invalid. */
  readonly arguments: string;
  /** Data that the model server wants back, such as the signature of a thought; opaque to all others. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** The side that runs it: the agent itself (`server`), or the client, which is the default. */
  readonly executor?: 'server' | 'client';
}

/** The outcome of a tool call that the server ran: `output`, or `error`. */
export interface ToolResult {
  readonly id: string;
  readonly name: string;
  /** Any JSON. One that is too long is a text, which ends with the remark that it was cut. */
  readonly output?: unknown;
  readonly error?: ToolError;
  readonly durationMs: number;
}

/** Why a tool gave no result. */
export interface ToolError {
  readonly code: string;
  readonly message: string;
}

/** A question to a person: whether a tool may be run. */
export interface ApprovalRequired {
  /** The id of the tool call. */
  readonly id: string;
  readonly name: string;
  /** The JSON text of the model. */
  readonly arguments: string;
  readonly expiresInMs: number;
}

/** The answer to it. */
export interface ApprovalResolved {
  readonly id: string;
  readonly allow: boolean;
  /** The user; absent without an answer in time. */
  readonly by?: string;
}

/** An agent that works for another one. */
export interface Delegation {
  readonly agent: string;
  /** `consult`: its answer goes to `parent`. `handover`: it answers in the place of `parent`. */
  readonly via: 'consult' | 'handover';
  readonly state: 'started' | 'ended' | 'failed';
  readonly parent: string;
}

/** A part of the arguments of a tool call, while the model writes them. */
export interface ToolCallPiece {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  /** Offset in the arguments, in characters. */
  readonly from: number;
  readonly executor?: ToolCall['executor'];
}

/** The bad end of a turn. A `refused` turn, rejected for its content, is never sent to a model again. */
export type TurnEnd = 'cancelled' | 'failed' | 'refused';

/** A capability beyond text that a request may need. */
export type Capability = 'tools' | 'images' | 'format';

/** One message of a conversation, in the form that agents get. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  /** All of its text. */
  readonly content: string;
  /** As `data:` URLs in base64. */
  readonly images?: readonly string[];
  /** The whole message in order, if `content` and `images` do not hold all of it. */
  readonly parts?: readonly ContentPart[];
  /** The thinking of the assistant, for model servers that want it back. */
  readonly thinking?: string;
  /** The author, in a conversation of several. */
  readonly name?: string;
  /** Tool calls of the assistant. */
  readonly toolCalls?: readonly ToolCall[];
  /** The call whose result this message of a tool is. */
  readonly toolCallId?: string;
  readonly toolName?: string;
  /** The agent that has written it, where the conversation was handed over to that agent. */
  readonly agent?: string;
  /** On the last message of a stored turn that ended badly; agents never get it. */
  readonly end?: TurnEnd;
  /** Why, as the client was told, beside `end` of a turn that failed; agents never get it. */
  readonly failure?: { readonly code: string; readonly message: string };
  /** The time of it, in milliseconds since 1970; on stored messages. Agents never get it. */
  readonly at?: number;
  /** The origin of an answer, on the last message of its stored turn. Agents never get it. */
  readonly answered?: AnswerOrigin;
  /**
   * Other versions of the conversation from this question on, in the order of their making: the messages of each, this one's
   * place included. Agents never get them.
   */
  readonly versions?: readonly (readonly ChatMessage[])[];
  /** Fields that a client added for the model server. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** The agent and the model that gave an answer, and what it used. */
export interface AnswerOrigin {
  readonly agent: string;
  readonly model?: string;
  readonly usage?: Usage;
}

/** A part of a message. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  /** A `data:` URL; an http(s) URL only for agents that accept it. This server never fetches it. */
  | { readonly type: 'image'; readonly url: string; readonly detail?: string }
  /** Any other part, in the form of OpenAI's API. */
  | { readonly type: 'other'; readonly value: Readonly<Record<string, unknown>> };

/** A tool that a model may call; `parameters` is JSON Schema. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string | undefined;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  /** Arguments must match `parameters`. */
  readonly strict?: boolean | undefined;
}

/** The amount of thinking before an answer. */
export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

/** Options of a request to a model; an agent ignores those that it does not know. */
export interface ChatOptions {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly maxTokens?: number | undefined;
  readonly seed?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly reasoningEffort?: ReasoningEffort | undefined;
  /** Requires JSON: any, or JSON that matches a schema. */
  readonly format?: 'json' | Readonly<Record<string, unknown>> | undefined;
  readonly tools?: readonly ToolDefinition[] | undefined;
  /** `auto` when absent; an object names the one tool to call. */
  readonly toolChoice?: 'none' | 'auto' | 'required' | { readonly name: string } | undefined;
  /** Allows several tool calls at once. */
  readonly parallelToolCalls?: boolean | undefined;
  /** False: messages beyond the context window are refused with CONTEXT_TOO_LONG. Otherwise the oldest turns are left out. */
  readonly truncate?: boolean | undefined;
  /** Description of the schema in `format`. */
  readonly formatDetails?:
    | { readonly name?: string; readonly description?: string; readonly strict?: boolean }
    | undefined;
  /** All other options, under the names of OpenAI's API, as the client sent them. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
  readonly providerOptions?: ProviderOptions | undefined;
}

/** Options that only one kind of model server knows, by the `provider` of its agents: `{ ollama: { keep_alive: '10m' } }`. */
export type ProviderOptions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** One request to an agent, with the conversation so far. */
export interface ChatRequest {
  readonly id: string;
  /** Oldest first; the last one is to be answered. */
  readonly messages: readonly ChatMessage[];
  readonly model?: string;
  readonly options?: ChatOptions;
  /** The user who asks. In an open server as the client says. */
  readonly userId?: string;
  readonly conversationId?: string;
  /** Any data of the client. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** The reason for the end of an answer. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | (string & {});

/** The log probability of a token, with those of the most likely ones at its place, as OpenAI's API has it. */
export interface Logprob {
  readonly token: string;
  readonly logprob: number;
  /** Its UTF-8 bytes: a token may be a part of a character. */
  readonly bytes?: readonly number[] | null;
  readonly top_logprobs?: readonly Omit<Logprob, 'top_logprobs'>[];
}

/** A piece of an answer. */
export type StreamChunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  /** The log probabilities of the tokens of the text that follows. */
  | { readonly type: 'logprobs'; readonly logprobs: readonly Logprob[] }
  /** Sent ahead of the whole call, which repeats it, for clients that show it as it grows. */
  | ({ readonly type: 'tool_call_piece' } & ToolCallPiece)
  | ({ readonly type: 'tool_call' } & ToolCall)
  /** For a call whose `executor` is `server`. */
  | ({ readonly type: 'tool_result' } & ToolResult)
  | {
      readonly type: 'done';
      readonly reason: FinishReason;
      readonly usage?: Usage;
      /** The model that answered, for an agent with several. */
      readonly model?: string;
      /** The model has read less than it was sent. */
      readonly truncated?: boolean;
    };

/** The context of a request. */
export interface CallContext {
  /** Aborts when the answer is no longer wanted. Ends every wait of an agent and its upstream socket. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Headers for the request to the upstream, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Limit of the whole answer. */
  readonly timeoutMs?: number;
  /** The user who asks, also where the request does not say. */
  readonly userId?: string;
  /** The WebSocket of the request, as in the `connection:*` events. */
  readonly connection?: string;
}

/** A request to another agent, within the request that an agent answers. */
export interface DelegatedRequest {
  /** Oldest first; the last one is to be answered. */
  readonly messages: readonly ChatMessage[];
  readonly model?: string | undefined;
  readonly options?: ChatOptions | undefined;
}

/** The context of a request to an agent, and its ways to others. */
export interface AgentCall extends CallContext {
  /**
   * Lets another agent answer. It is announced, counted and stopped like any agent; bounded in depth, in number and by the
   * time of this call. @throws AGENT_UNKNOWN, DELEGATION_LIMIT, the failure of that agent
   */
  ask(agent: string, request: DelegatedRequest): Promise<AgentResponse>;
  /** The same as the agent says it. Leaving the loop stops that agent. */
  stream(agent: string, request: DelegatedRequest): AsyncIterable<readonly StreamChunk[]>;
  /**
   * Answers with tools of this server: those of its tasks that `tools` names (`orders:*` is a pattern). `answer` asks the model
   * for one turn, as often as there are results of calls to tell.
   */
  useTools(
    tools: readonly string[],
    request: ChatRequest,
    answer: (request: ChatRequest) => AsyncIterable<StreamChunk | readonly StreamChunk[]>,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;
}

/** An ability of a model. */
export type ModelCapability = 'completion' | 'tools' | 'vision' | 'thinking' | 'embedding';

/** A model of an agent, as its model server describes it. */
export interface ModelDetails {
  readonly name: string;
  /** Unknown when absent. Many servers state only some of them. */
  readonly capabilities?: readonly ModelCapability[];
  /** The context window in tokens; unknown when absent. */
  readonly contextLength?: number;
}

/** The context window of the model that a request is for. */
export interface ContextWindow {
  /** Its size, the answer included; infinite for an agent that only passes requests on to others. */
  readonly tokens: number;
  /** Whether the model server may have a larger one. */
  readonly isLeast?: boolean;
  /** Whether an answer that outgrows it makes the model forget the beginning. */
  readonly slides?: boolean;
}

/** The health of an agent. */
export interface AgentHealth {
  readonly healthy: boolean;
  /** For people: the reason why it is unhealthy, and the remedy. No secrets. */
  readonly detail?: string;
  /** Names of the models that can chat. */
  readonly models?: readonly string[];
  /** The model for requests without one, where it is known. */
  readonly model?: string;
  /** Models of which more than the name is known, including those that only make embeddings. */
  readonly modelDetails?: readonly ModelDetails[];
}

/** Limit of the inputs of one request for embeddings. */
export const embedInputLimit = 2048;

/** Texts to be turned into vectors. */
export interface EmbedRequest {
  /** 1 to 2048 texts. */
  readonly input: readonly string[];
  readonly model?: string | undefined;
  /** Length of the vectors, for models that can shorten theirs. */
  readonly dimensions?: number | undefined;
  /** Whether inputs longer than the model's context are cut or refused; the model server decides when absent. */
  readonly truncate?: boolean | undefined;
  /** The user who asks. In an open server as the client says. */
  readonly userId?: string | undefined;
  /** All other options, under the names of OpenAI's API, as the client sent them. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
  readonly providerOptions?: ProviderOptions | undefined;
}

/** The vectors of a request for embeddings. */
export interface Embeddings {
  /** One vector for each input, in their order; all of one length. */
  readonly embeddings: readonly (readonly number[])[];
  /** `outputTokens` is 0. */
  readonly usage?: Usage;
  /** The model that made them, for an agent with several. */
  readonly model?: string;
}

/** Content besides text and images that an agent passes on to its model server. */
export interface AgentTakes {
  /** Images by their http(s) URL, which the model server fetches. */
  readonly imageUrls: boolean;
  /** Parts of other kinds: files, sounds. */
  readonly parts: boolean;
}

/** A source of answers. Add one with `ctx.addAgent`. */
export interface Agent {
  readonly name: string;
  readonly description?: string;
  /** The kind of model server, as OpenTelemetry names it: `openai`, `ollama`. Absent for an agent that needs none. */
  readonly provider?: string;
  /**
   * A demonstration, not a model: unless named it is asked only if no model server could be reached since the start, and
   * its answer begins with a notice.
   */
  readonly demo?: boolean;
  /** The notice, in place of the English one. */
  demoNotice?(request: ChatRequest): string;
  /** Capabilities beyond text; it gets no request that needs others. Absent: unknown, and tried. */
  readonly capabilities?: readonly Capability[] | undefined;
  /**
   * Yields chunks as they come, or arrays of chunks that came together, and exactly one `done` last. Its reader pulls
   * without delay: the log of the reply absorbs chunks, within limits. After an abort it closes its upstream connection
   * before it returns or throws.
   */
  generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;
  /**
   * Turns texts into vectors; absent for an agent that makes none. After an abort it closes its upstream connection before
   * it throws. @throws AGENT_FAILED with `lacks: 'embeddings'` where its model server or the model makes none
   */
  embed?(request: EmbedRequest, call: CallContext): Promise<Embeddings>;
  /** Accepted content besides text and images as `data:` URLs; none when absent. */
  readonly takes?: AgentTakes;
  /** Unsupported options of `more`, under the names of OpenAI's API; all of them when absent. */
  ignores?(options: ChatOptions): readonly string[];
  /**
   * The context window that a request will have; `tokens` is an estimate of its messages with room for the answer, where a
   * window can grow. A promise where the window first has to be asked for. Unknown when absent.
   */
  contextWindow?(
    request: ChatRequest,
    tokens: number,
    call: CallContext,
  ): ContextWindow | undefined | Promise<ContextWindow | undefined>;
  /** Healthy when absent. */
  health?(signal: AbortSignal): Promise<AgentHealth>;
  /** Names of the models that its server has in memory; among equally busy agents one with the model is asked first. */
  loadedModels?(signal: AbortSignal): Promise<readonly string[]>;
}

/** A whole answer. */
export interface AgentResponse {
  readonly content: string;
  readonly thinking: string;
  readonly toolCalls: readonly Extract<StreamChunk, { type: 'tool_call' }>[];
  readonly reason: FinishReason;
  readonly usage?: Usage;
}

/** Limit of a whole answer, including tool calls. */
const wholeLimitChars = 8_000_000;

/** An agent that can collect its stream into a whole answer. */
export abstract class BaseAgent implements Agent {
  abstract readonly name: string;
  abstract generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;

  /** @throws as its stream; AGENT_FAILED for an answer over the limit */
  async generateResponse(request: ChatRequest, call: AgentCall): Promise<AgentResponse> {
    let content = '';
    let thinking = '';
    let end: Extract<StreamChunk, { type: 'done' }> = { type: 'done', reason: 'stop' };
    const toolCalls: Extract<StreamChunk, { type: 'tool_call' }>[] = [];
    let chars = 0;
    for await (const batch of this.generateResponseStream(request, call))
      for (const chunk of Array.isArray(batch) ? (batch as readonly StreamChunk[]) : [batch as StreamChunk]) {
        if (chunk.type === 'tool_call_piece' || chunk.type === 'logprobs' || chunk.type === 'tool_result')
          continue;
        chars += 'content' in chunk ? chunk.content.length : JSON.stringify(chunk).length;
        if (chars > wholeLimitChars) {
          const why = `its answer is longer than ${wholeLimitChars} characters`;
          throw new WaggleError('AGENT_FAILED', { agent: this.name, why });
        }
        if (chunk.type === 'text') content += chunk.content;
        else if (chunk.type === 'thinking') thinking += chunk.content;
        else if (chunk.type === 'tool_call') toolCalls.push(chunk);
        else end = chunk;
      }
    const { reason, usage } = end;
    return { content, thinking, toolCalls, reason, ...(usage && { usage }) };
  }
}

interface AgentEvent {
  readonly streamId: string;
  readonly agent: string;
  readonly userId?: string | undefined;
  /** The same number in all events of one attempt. */
  readonly attempt?: number;
}

interface ToolEvent {
  readonly streamId: string;
  readonly agent: string;
  readonly userId?: string | undefined;
  readonly attempt?: number;
  /** The name of the task, or that of the tool of a client. */
  readonly name: string;
  readonly callId: string;
}

declare module './bus.js' {
  interface KernelEvents {
    /** Announced before a request to an agent; listeners may add `headers` for its upstream. `model` is that of the request, `parent` the attempt of the agent that has asked this one. */
    'agent:asked': AgentEvent & {
      readonly fallback: boolean;
      readonly parent?: number;
      readonly provider?: string;
      readonly model?: string;
      readonly headers: Record<string, string>;
    };
    /** Announced after a whole answer. */
    'agent:answered': AgentEvent & {
      readonly runMs: number;
      readonly reason: FinishReason;
      readonly model?: string;
      readonly usage?: Usage;
    };
    /** Announced after a failure; another agent may be asked next. */
    'agent:failed': AgentEvent & { readonly runMs: number; readonly code: string; readonly error: unknown };
    /** Announced when an answer was no longer wanted and has stopped. */
    'agent:cancelled': AgentEvent & { readonly runMs: number };
    /** The model of an agent has called a tool. */
    'tool:called': ToolEvent;
    /** The call has a result, an error with `code`, or was cancelled. */
    'tool:ended': ToolEvent & {
      readonly durationMs: number;
      readonly code?: string;
      readonly cancelled?: true;
    };
  }
}
