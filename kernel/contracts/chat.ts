import { z } from '#zod';
import { createToken } from '../services.js';
import type { Principal } from './access.js';
import type { AgentCall, AgentHealth, ChatMessage, ChatOptions, StreamChunk } from './agent.js';

/** A message of a user, to be answered. */
export interface ChatCommand {
  readonly content: string;
  /** Replaces `content` for a turn with several messages; at least one. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /** Neither reads nor writes the memory of the conversation. */
  readonly stateless?: boolean | undefined;
  /** The user. Conversations of one user are never read for another. */
  readonly userId: string;
  /** The credentials of the request, whose limits count; absent in an open server. */
  readonly principal?: Principal | undefined;
  /** The WebSocket of the request. */
  readonly connection?: string | undefined;
  /** Any data of the client; it counts with the request. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** A new conversation when absent. */
  readonly conversationId?: string | undefined;
  /** The agent's name; the first healthy candidate when absent. */
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly options?: ChatOptions | undefined;
  /** False: a demonstration answers only if it is named. */
  readonly demo?: boolean | undefined;
}

/** The agent of the chunks that follow. `fallback` marks one that took over from one that failed before its first token. */
export interface AgentChosen {
  readonly type: 'agent';
  readonly agent: string;
  readonly fallback: boolean;
}

/** Before the first `agent`: its model server is full and will be asked again, after `ahead` other requests. */
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

/** The destination of an answer. */
export interface ChatSink {
  /** Writes a batch: `agent` first, then chunks, `done` last. A throw stops the agent. */
  write(batch: readonly (StreamChunk | AgentChosen | AgentQueued)[]): void;
  /** The whole text of the answer so far. */
  readonly text: string;
}

/** The central chat agent: owns conversations, chooses the agent, falls back to another. */
export interface Chat {
  /**
   * Writes one answer within a conversation, as it comes. After an abort it may go on until `write` throws.
   * @throws AGENT_UNKNOWN, TOO_LARGE, and the error of the last agent
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
