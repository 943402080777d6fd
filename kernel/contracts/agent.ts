import type { z } from 'zod';
import type { Logger } from '../logger.js';
import type { usage } from './frames.js';

/** One message of a conversation, as agents read it. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}

/** What a client may ask of a model; an agent ignores what it does not know. */
export interface ChatOptions {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly maxTokens?: number | undefined;
  readonly seed?: number | undefined;
  readonly stop?: readonly string[] | undefined;
}

/** One question to an agent, with everything that was said before. */
export interface ChatRequest {
  readonly id: string;
  /** Oldest first; the last one is the user's. */
  readonly messages: readonly ChatMessage[];
  readonly model?: string;
  readonly options?: ChatOptions;
}

/** What an answer has cost, in tokens. */
export type Usage = Readonly<z.infer<typeof usage>>;

/** Why an agent ended its answer. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | (string & {});

/** A piece of an answer. */
export type StreamChunk =
  | { readonly type: 'text'; readonly content: string }
  | { readonly type: 'thinking'; readonly content: string }
  | { readonly type: 'tool_call'; readonly id: string; readonly name: string; readonly arguments: unknown }
  | { readonly type: 'done'; readonly reason: FinishReason; readonly usage?: Usage };

/** What comes with a request to an agent. */
export interface AgentCall {
  /** Aborts when the answer is no longer wanted. Every wait of an agent ends with it, and so does its upstream socket. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Whether an agent can answer. */
export interface AgentHealth {
  readonly healthy: boolean;
  /** For people: why it is not healthy, and what to do. No secrets. */
  readonly detail?: string;
  readonly models?: readonly string[];
}

/** Whatever answers. Add one with `ctx.addAgent`. */
export interface Agent {
  readonly name: string;
  readonly description?: string;
  /**
   * Yields chunks as they come, or arrays of all that came together, and exactly one `done` last. Pulling is the
   * back-pressure. When it returns or throws after an abort, its upstream connection is closed.
   */
  generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;
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

/** An agent that can also be asked for a whole answer: it collects its own stream. */
export abstract class BaseAgent implements Agent {
  abstract readonly name: string;
  abstract generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;

  async generateResponse(request: ChatRequest, call: AgentCall): Promise<AgentResponse> {
    let content = '';
    let thinking = '';
    let end: Extract<StreamChunk, { type: 'done' }> = { type: 'done', reason: 'stop' };
    const toolCalls: Extract<StreamChunk, { type: 'tool_call' }>[] = [];
    for await (const batch of this.generateResponseStream(request, call))
      for (const chunk of chunksOf(batch)) {
        if (chunk.type === 'text') content += chunk.content;
        else if (chunk.type === 'thinking') thinking += chunk.content;
        else if (chunk.type === 'tool_call') toolCalls.push(chunk);
        else end = chunk;
      }
    const { reason, usage } = end;
    return { content, thinking, toolCalls, reason, ...(usage && { usage }) };
  }
}

/** What one pull of an agent's stream gave, as a list. */
export function chunksOf<T extends object>(batch: T | readonly T[]): readonly T[] {
  return Array.isArray(batch) ? batch : [batch as T];
}
