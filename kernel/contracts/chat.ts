import { z } from '#zod';
import { createToken } from '../services.js';
import type { AgentCall, AgentHealth, ChatMessage, ChatOptions, StreamChunk } from './agent.js';

/** What a user wants to be answered. */
export interface ChatCommand {
  readonly content: string;
  /** What is to be answered, in place of `content`, where that is more than one text of the user. Never empty. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /** Nothing is taken from the conversation's memory, and nothing is kept there. */
  readonly stateless?: boolean | undefined;
  /** Who asks. Conversations of one user are never read for another. */
  readonly userId: string;
  /** A new conversation when absent. */
  readonly conversationId?: string | undefined;
  /** The agent's name; the first healthy candidate when absent. */
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly options?: ChatOptions | undefined;
  /** False where a demonstration may not answer unless it is named. */
  readonly demo?: boolean | undefined;
}

/** Who answers from here on. `fallback` marks the agent that took over from one that failed before its first token. */
export interface AgentChosen {
  readonly type: 'agent';
  readonly agent: string;
  readonly fallback: boolean;
}

/** Before the first `agent`: its model server is full and will be asked again, after so many others. */
export interface AgentQueued {
  readonly type: 'queued';
  readonly ahead: number;
}

/** A registered agent and its health. */
export interface AgentStatus extends AgentHealth {
  readonly name: string;
  readonly description?: string;
  readonly demo?: boolean;
  readonly namedOnly?: boolean;
}

/** An agent's status, as clients see it. */
export const agentStatus = z.object({
  name: z.string(),
  description: z.string().exactOptional(),
  demo: z.boolean().describe('It is no model and only shows how answers come').exactOptional(),
  namedOnly: z.boolean().describe('It answers only those who ask for it by name').exactOptional(),
  healthy: z.boolean(),
  detail: z.string().describe('For people: why it is not healthy, and what to do').exactOptional(),
  models: z.array(z.string()).exactOptional(),
}) satisfies z.ZodType<AgentStatus>;

/** Where an answer goes. */
export interface ChatSink {
  /** Takes a batch: `agent` comes first, then chunks, `done` last. Once it throws nothing more is asked of the agent. */
  write(batch: readonly (StreamChunk | AgentChosen | AgentQueued)[]): void;
  /** All text of the answer that was written so far, as one piece. */
  readonly text: string;
}

/** The central chat agent: owns conversations, chooses who answers, falls back. */
export interface Chat {
  /**
   * One answer within a conversation, written as it comes. After the signal has aborted it may go on until `write` throws.
   * @throws AGENT_UNKNOWN, TOO_LARGE, and what the agent throws when there is nobody left to ask
   */
  reply(
    command: ChatCommand & { readonly id: string; readonly conversationId: string },
    call: AgentCall,
    sink: ChatSink,
  ): Promise<void>;
  /** Every registered agent with its health. Bounded in time: an agent that does not answer is unhealthy. */
  statuses(): Promise<readonly AgentStatus[]>;
}

/** Provided by the plugin that owns the conversations. */
export const Chat = createToken<Chat>('chat');
