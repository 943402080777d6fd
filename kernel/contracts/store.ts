import { createToken } from '../services.js';
import type { ChatMessage } from './agent.js';

/** The key of a conversation. The same `conversationId` of two users is two conversations. */
export interface ConversationKey {
  readonly userId: string;
  readonly conversationId: string;
}

/** One conversation in a list of them. */
export interface ConversationSummary {
  readonly conversationId: string;
  /** The result of `titleOf` for the first message of the user. */
  readonly title: string;
  /** The number of stored messages. */
  readonly messages: number;
  /** The time of the last message, in milliseconds since 1970; unique within a store. */
  readonly updatedAt: number;
}

/** One page of a user's conversations. */
export interface ListOptions {
  readonly limit: number;
  /** Lists those with a lower `updatedAt`; that of the last one listed gives the next page. */
  readonly before?: number | undefined;
}

/** Conversations within bounds. The oldest turns are dropped first, and always whole, so that any model accepts the rest. */
export interface ConversationStore {
  /** The reason why nothing can be stored, while that lasts. Public in `GET /ready`, so without paths. */
  readonly trouble?: string | undefined;
  /** The latest messages, at most `limit`, oldest first; none for an unknown conversation. Counts as use. */
  read(key: ConversationKey, limit?: number): Promise<readonly ChatMessage[]>;
  /** Appends a whole turn; resolves once it is stored. @throws TOO_LARGE when a message is larger than a whole conversation may be */
  append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void>;
  /**
   * Removes the turn that was appended last with these messages, as far as it is still stored, and a conversation that is
   * empty then. Without this method the conversation is deleted and the rest appended again.
   */
  retract?(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void>;
  /** False for an unknown conversation. */
  delete(key: ConversationKey): Promise<boolean>;
  /** The user's conversations, the latest first. */
  list(userId: string, options: ListOptions): Promise<readonly ConversationSummary[]>;
}

/** Provided by the plugin that stores conversations. */
export const ConversationStore = createToken<ConversationStore>('conversations');
