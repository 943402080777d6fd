import { z } from '#zod';
import { createToken } from '../services.js';
import type { Principal } from './access.js';
import type {
  AgentHealth,
  ApprovalRequired,
  ApprovalResolved,
  CallContext,
  ChatMessage,
  ChatOptions,
  Delegation,
  Embeddings,
  EmbedRequest,
  ModelDetails,
  StreamChunk,
} from './agent.js';

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
  /** Its client among those of the user. */
  readonly clientId?: string | undefined;
  /** Any data of the client; it counts with the request. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** A new conversation when absent. */
  readonly conversationId?: string | undefined;
  /**
   * The number of a question in the conversation whose place this turn takes. What was said from there on is kept as another
   * version.
   */
  readonly replaces?: number | undefined;
  /** The agent's name; the first healthy candidate when absent. */
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly options?: ChatOptions | undefined;
  /** False: a demonstration answers only if it is named. */
  readonly demo?: boolean | undefined;
  /** Whether the answer waits for the results of calls to tools of the client. Otherwise it ends with them. */
  readonly awaitsToolResults?: boolean | undefined;
}

/** Texts of a user, to be turned into vectors. */
export interface EmbedCommand extends EmbedRequest {
  /** The credentials of the request, whose limits count; absent in an open server. */
  readonly principal?: Principal | undefined;
  /** The agent's name; the first healthy candidate that makes embeddings when absent. */
  readonly agent?: string | undefined;
}

/** The part of a conversation that an agent gets, as far as it is known. */
export interface ContextReport {
  /** An estimate of the tokens that it is sent. */
  readonly tokens?: number;
  /** The context window of the model in tokens. */
  readonly window?: number;
  /** Messages of the conversation that are left out, the oldest ones. */
  readonly droppedMessages: number;
}

/** The agent of the chunks that follow. `fallback` marks one that took over from one that failed before its first token. */
export interface AgentChosen {
  readonly type: 'agent';
  readonly agent: string;
  readonly fallback: boolean;
  readonly context?: ContextReport;
}

/** Before the first `agent`: its model server is full and will be asked again, after `ahead` other requests. */
export interface AgentQueued {
  readonly type: 'queued';
  readonly ahead: number;
}

/** A step of an answer besides its content. */
export type ChatStep =
  | ({ readonly type: 'approval_required' } & ApprovalRequired)
  | ({ readonly type: 'approval_resolved' } & ApprovalResolved)
  | ({ readonly type: 'delegation' } & Delegation);

/** A chunk of the chat agent. */
export type ChatChunk = StreamChunk | AgentChosen | AgentQueued | ChatStep;

/** The answer of a client to something that a reply waits for. */
export type ClientAnswer =
  | { readonly type: 'tool_result'; readonly output?: unknown; readonly error?: string | undefined }
  | {
      readonly type: 'approval';
      readonly allow: boolean;
      readonly reason?: string | undefined;
      readonly by: string;
    };

/** A registered agent and its health. */
export interface AgentStatus extends AgentHealth {
  readonly name: string;
  readonly description?: string;
  readonly demo?: boolean;
  readonly namedOnly?: boolean;
}

const modelDetails = z.object({
  name: z.string(),
  capabilities: z
    .array(z.enum(['completion', 'tools', 'vision', 'thinking', 'embedding']))
    .describe('As far as the model server states them')
    .exactOptional(),
  contextLength: z.number().describe('The context window in tokens').exactOptional(),
}) satisfies z.ZodType<ModelDetails>;

/** An agent's status, as clients see it. */
export const agentStatus = z.object({
  name: z.string(),
  description: z.string().exactOptional(),
  demo: z.boolean().describe('It is no model and only shows how answers come').exactOptional(),
  namedOnly: z.boolean().describe('It answers only those who ask for it by name').exactOptional(),
  healthy: z.boolean(),
  detail: z.string().describe('For people: why it is not healthy, and what to do').exactOptional(),
  models: z.array(z.string()).exactOptional(),
  model: z.string().describe('The model for requests without one').exactOptional(),
  modelDetails: z.array(modelDetails).exactOptional(),
}) satisfies z.ZodType<AgentStatus>;

/** The destination of an answer. */
export interface ChatSink {
  /** Writes a batch: `agent` first, then chunks, `done` last. A throw stops the agent. */
  write(batch: readonly ChatChunk[]): void;
  /** The whole text of the answer so far. */
  readonly text: string;
  /** Waits for the client's answer about a tool call; undefined where none comes in time, or where clients cannot answer. */
  answerTo?<Type extends ClientAnswer['type']>(
    type: Type,
    callId: string,
    wait: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Extract<ClientAnswer, { readonly type: Type }> | undefined>;
  /** Tells of work that a cancel has to stop; the result tells of its end, or with `false` that it goes on and is left to itself. */
  began?(kind: 'agent' | 'tool', name: string): (hasStopped?: boolean) => void;
}

/** The central chat agent: owns conversations, chooses the agent, falls back to another. */
export interface Chat {
  /**
   * Writes one answer within a conversation, as it comes. After an abort it may go on until `write` throws.
   * @throws AGENT_UNKNOWN, TOO_LARGE, and the error of the last agent
   */
  reply(
    command: ChatCommand & { readonly id: string; readonly conversationId: string },
    call: CallContext,
    sink: ChatSink,
  ): Promise<void>;
  /**
   * Turns texts into vectors; `agent` made them. @throws AGENT_UNKNOWN, INVALID_REQUEST for too many inputs, QUEUE_FULL,
   * BUDGET_EXCEEDED, AGENT_FAILED with `lacks: 'embeddings'` where no agent makes any, and the error of the last agent
   */
  embed(command: EmbedCommand, call: CallContext): Promise<Embeddings & { readonly agent: string }>;
  /**
   * Every registered agent with its health: the chat agent, its candidates in their order, the others. Bounded in time: an
   * agent that does not answer is unhealthy.
   */
  statuses(): Promise<readonly AgentStatus[]>;
}

/** Provided by the plugin that owns the conversations. */
export const Chat = createToken<Chat>('chat');
