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
  /** On the last message of a stored turn that ended badly; agents never get it. */
  readonly end?: TurnEnd;
  /** Fields that a client added for the model server. */
  readonly extra?: Readonly<Record<string, unknown>>;
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
  /** Description of the schema in `format`. */
  readonly formatDetails?:
    | { readonly name?: string; readonly description?: string; readonly strict?: boolean }
    | undefined;
  /** All other options, under the names of OpenAI's API, as the client sent them. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
}

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

/** A piece of an answer. */
export type StreamChunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  /** Sent ahead of the whole call, which repeats it, for clients that show it as it grows. */
  | ({ readonly type: 'tool_call_piece' } & ToolCallPiece)
  | ({ readonly type: 'tool_call' } & ToolCall)
  | {
      readonly type: 'done';
      readonly reason: FinishReason;
      readonly usage?: Usage;
      /** The model that answered, for an agent with several. */
      readonly model?: string;
    };

/** The context of a request to an agent. */
export interface AgentCall {
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

/** The health of an agent. */
export interface AgentHealth {
  readonly healthy: boolean;
  /** For people: the reason why it is unhealthy, and the remedy. No secrets. */
  readonly detail?: string;
  readonly models?: readonly string[];
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
  readonly capabilities?: readonly Capability[];
  /**
   * Yields chunks as they come, or arrays of chunks that came together, and exactly one `done` last. Its reader pulls
   * without delay: the log of the reply absorbs chunks, within limits. After an abort it closes its upstream connection
   * before it returns or throws.
   */
  generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;
  /** Accepted content besides text and images as `data:` URLs; none when absent. */
  readonly takes?: AgentTakes;
  /** Unsupported options of `more`, under the names of OpenAI's API; all of them when absent. */
  ignores?(options: ChatOptions): readonly string[];
  /** Healthy when absent. */
  health?(signal: AbortSignal): Promise<AgentHealth>;
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
        if (chunk.type === 'tool_call_piece') continue;
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
}

declare module '../bus.js' {
  interface KernelEvents {
    /** Announced before a request to an agent; listeners may add `headers` for its upstream. `model` is that of the request. */
    'agent:asked': AgentEvent & {
      readonly fallback: boolean;
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
  }
}
