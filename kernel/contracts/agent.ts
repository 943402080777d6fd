import { WaggleError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Usage } from './usage.js';

/** A tool that a model wants to be called. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it, to the digit; where that is broken, the text as it is. */
  readonly arguments: string;
  /** What a model server gave with it and wants to have back, such as the signature of a thought. Nobody else reads it. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Who runs it: the agent itself (`server`), or whoever asked, which is so when absent. */
  readonly executor?: 'server' | 'client';
}

/** A part of the arguments of a tool call that is still being written. */
export interface ToolCallPiece {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  /** How many characters of the arguments came before. */
  readonly from: number;
  readonly executor?: ToolCall['executor'];
}

/**
 * How a turn ended that did not end well: it was stopped, it failed, or it was refused because of what it asked, so that no
 * model is told of it again.
 */
export type TurnEnd = 'cancelled' | 'failed' | 'refused';

/** What a request may need of an agent beside words. */
export type Capability = 'tools' | 'images' | 'format';

/** One message of a conversation, as agents read it. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  /** All of its text. */
  readonly content: string;
  /** As `data:` URLs in base64. */
  readonly images?: readonly string[];
  /** All of it in order, where `content` and `images` do not say everything. */
  readonly parts?: readonly ContentPart[];
  /** What the assistant thought, where its model server wants that back. */
  readonly thinking?: string;
  /** Who of several said it. */
  readonly name?: string;
  /** What the assistant wanted to be called. */
  readonly toolCalls?: readonly ToolCall[];
  /** Whose result the message of a tool is. */
  readonly toolCallId?: string;
  readonly toolName?: string;
  /** On the last message of a turn that is kept and did not end well; agents never read it. */
  readonly end?: TurnEnd;
  /** What a client has added for the model server. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** A part of what a message says. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  /** By a `data:` URL; by one of http(s) only for agents that take those. Nobody here fetches it. */
  | { readonly type: 'image'; readonly url: string; readonly detail?: string }
  /** Anything else, as OpenAI's API has it. */
  | { readonly type: 'other'; readonly value: Readonly<Record<string, unknown>> };

/** A tool that a model may ask for; `parameters` is JSON Schema. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string | undefined;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  /** Its arguments have to be what `parameters` describes. */
  readonly strict?: boolean | undefined;
}

/** How much a model is to think before it answers. */
export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

/** What a client may ask of a model; an agent ignores what it does not know. */
export interface ChatOptions {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly maxTokens?: number | undefined;
  readonly seed?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly reasoningEffort?: ReasoningEffort | undefined;
  /** The answer is to be JSON: any, or what a JSON Schema describes. */
  readonly format?: 'json' | Readonly<Record<string, unknown>> | undefined;
  readonly tools?: readonly ToolDefinition[] | undefined;
  /** `auto` when absent; an object names the one tool to call. */
  readonly toolChoice?: 'none' | 'auto' | 'required' | { readonly name: string } | undefined;
  /** Whether several tools may be called at once. */
  readonly parallelToolCalls?: boolean | undefined;
  /** What is said of the schema in `format`. */
  readonly formatDetails?:
    | { readonly name?: string; readonly description?: string; readonly strict?: boolean }
    | undefined;
  /** Everything else, by the names of OpenAI's API and as the client gave it. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
}

/** One question to an agent, with everything that was said before. */
export interface ChatRequest {
  readonly id: string;
  /** Oldest first; the last one is what to answer. */
  readonly messages: readonly ChatMessage[];
  readonly model?: string;
  readonly options?: ChatOptions;
}

/** Why an agent ended its answer. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | (string & {});

/** A piece of an answer. */
export type StreamChunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  /** Ahead of the whole call, for clients that want to see it grow; what it says is in that call, too. */
  | ({ readonly type: 'tool_call_piece' } & ToolCallPiece)
  | ({ readonly type: 'tool_call' } & ToolCall)
  | {
      readonly type: 'done';
      readonly reason: FinishReason;
      readonly usage?: Usage;
      /** Which one answered, where the agent has several. */
      readonly model?: string;
    };

/** What comes with a request to an agent. */
export interface AgentCall {
  /** Aborts when the answer is no longer wanted. Every wait of an agent ends with it, and so does its upstream socket. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** To be sent along with the request to its upstream, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the whole answer may take. */
  readonly timeoutMs?: number;
}

/** Whether an agent can answer. */
export interface AgentHealth {
  readonly healthy: boolean;
  /** For people: why it is not healthy, and what to do. No secrets. */
  readonly detail?: string;
  readonly models?: readonly string[];
}

/** What besides text and images an agent passes on to its model server. */
export interface AgentTakes {
  /** Images by their http(s) URL, which the model server fetches. */
  readonly imageUrls: boolean;
  /** Parts of other kinds: files, sounds. */
  readonly parts: boolean;
}

/** Whatever answers. Add one with `ctx.addAgent`. */
export interface Agent {
  readonly name: string;
  readonly description?: string;
  /** What kind of model server it asks, as OpenTelemetry names it: `openai`, `ollama`. Absent where it answers by itself. */
  readonly provider?: string;
  /**
   * It is no model and only shows how answers come: without being named it is asked only where no model server could be
   * reached since the start, and a first line says so.
   */
  readonly demo?: boolean;
  /** That line, where it is not to be the usual one in English. */
  demoNotice?(request: ChatRequest): string;
  /** What it can do beside words; requests that need more are not put to it. Unknown when absent, and tried. */
  readonly capabilities?: readonly Capability[];
  /**
   * Yields chunks as they come, or arrays of all that came together, and exactly one `done` last. Pulling is the
   * back-pressure. When it returns or throws after an abort, its upstream connection is closed.
   */
  generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;
  /** Content that is more than text and images as `data:` URLs; none of it when absent. */
  readonly takes?: AgentTakes;
  /** The names, as OpenAI's API has them, of what it cannot pass on; all of `more` when absent. */
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

/** What a whole answer may have, tool calls included. */
const wholeLimitChars = 8_000_000;

/** An agent that can also be asked for a whole answer: it collects its own stream. */
export abstract class BaseAgent implements Agent {
  abstract readonly name: string;
  abstract generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;

  /** @throws what its stream throws; AGENT_FAILED when there is too much of it */
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
}

declare module '../bus.js' {
  interface KernelEvents {
    /** An agent is about to be asked; listeners may add `headers` that go to its upstream. `model` as the client wants it. */
    'agent:asked': AgentEvent & {
      readonly fallback: boolean;
      readonly provider?: string;
      readonly model?: string;
      readonly headers: Record<string, string>;
    };
    /** It has given a whole answer. */
    'agent:answered': AgentEvent & {
      readonly runMs: number;
      readonly reason: FinishReason;
      readonly model?: string;
      readonly usage?: Usage;
    };
    /** It has failed; another one may be asked next. */
    'agent:failed': AgentEvent & { readonly runMs: number; readonly code: string; readonly error: unknown };
    /** It was stopped, because the answer is no longer wanted. */
    'agent:cancelled': AgentEvent & { readonly runMs: number };
  }
}
