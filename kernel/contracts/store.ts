import { createToken } from '../services.js';
import type { ChatMessage } from './agent.js';

/** Names one conversation. The same `conversationId` of two users is two conversations. */
export interface ConversationKey {
  readonly userId: string;
  readonly conversationId: string;
}

/** One conversation in a list of them. */
export interface ConversationSummary {
  readonly conversationId: string;
  /** As `titleOf` makes it of the first message of the user. */
  readonly title: string;
  /** How many are kept. */
  readonly messages: number;
  /** When something was added last, in milliseconds since 1970; no two conversations of a store have the same. */
  readonly updatedAt: number;
}

/** Which conversations of a user to list. */
export interface ListOptions {
  readonly limit: number;
  /** Only those whose `updatedAt` is lower: that of the last one listed gives the next page. */
  readonly before?: number | undefined;
}

/**
 * Keeps conversations within bounds; the oldest messages go first, and with a question all that was said to it, so that what
 * is left can be sent to any model.
 */
export interface ConversationStore {
  /** Why nothing can be kept, while that is so: `GET /ready` shows it to everybody, so without paths. */
  readonly trouble?: string | undefined;
  /** The latest messages, at most `limit` of them, oldest first; empty for an unknown conversation. Whoever reads uses it. */
  read(key: ConversationKey, limit?: number): Promise<readonly ChatMessage[]>;
  /** Adds a whole turn at once; resolves when it is kept. @throws TOO_LARGE when a message is larger than a whole conversation may be */
  append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void>;
  /**
   * Takes back the turn that was appended last with these messages, as far as it is still there; a conversation in which
   * nothing else was said goes with it. Where it is absent, the conversation is deleted and the rest appended again.
   */
  retract?(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void>;
  /** Whether there was one. */
  delete(key: ConversationKey): Promise<boolean>;
  /** The user's conversations, the latest first. */
  list(userId: string, options: ListOptions): Promise<readonly ConversationSummary[]>;
}

/** Provided by the plugin that remembers. */
export const ConversationStore = createToken<ConversationStore>('conversations');
