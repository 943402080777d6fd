import { createToken } from '../services.js';
import type { ChatMessage } from './agent.js';
import type { EngineUser } from './engine-user.js';

/** The key of a conversation. The same `conversationId` of two users is two conversations. */
export interface ConversationKey {
  readonly userId: string;
  readonly conversationId: string;
}

/** One conversation in a list of them. */
export interface ConversationSummary {
  readonly conversationId: string;
  /** The result of `titleOf` for the first message of the user, until it is renamed. */
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

/** One page of a conversation. */
export interface PageOptions {
  readonly limit: number;
  /** Only messages with a lower number; that of the first one of a page gives the page before. */
  readonly before?: number | undefined;
}

/** A stored message and its number, which rises within a conversation, with gaps, and stays the same. */
export interface NumberedMessage {
  readonly number: number;
  readonly message: ChatMessage;
}

/** One page of what a search has found. */
export interface SearchOptions {
  /** Any text. Found is what has all its words (of `queryWords`), the first 16, each at the beginning of a word. */
  readonly text: string;
  readonly limit: number;
  /** Only hits with a lower number; that of the last one found gives the next page. */
  readonly before?: number | undefined;
}

/** A message of a user or an assistant, or the new title of a conversation, that a search has found. */
export interface SearchHit {
  readonly conversationId: string;
  readonly title: string;
  /** The number of the message; negative for a title. */
  readonly number: number;
  /** Absent for a title. */
  readonly role?: ChatMessage['role'];
  readonly at?: number;
  /** The text around the first of the words, on one line. */
  readonly excerpt: string;
}

/** The outcome of a search. */
export interface SearchResult {
  /** The newest message first, titles last. */
  readonly hits: readonly SearchHit[];
  /** False while older messages are still being made searchable. */
  readonly complete: boolean;
}

/** Conversations within bounds. The oldest turns are dropped first, and always whole, so that any model accepts the rest. */
export interface ConversationStore extends EngineUser {
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
  /**
   * Appends messages in the place of those from a number on, in one step; without messages it only removes. With `last`, the
   * number of the latest message that the caller has seen, it does so only while that is the latest: else it changes nothing,
   * and the result is false. @throws TOO_LARGE as `append`
   */
  replace?(
    key: ConversationKey,
    from: number,
    messages: readonly ChatMessage[],
    last?: number,
  ): Promise<boolean>;
  /** False for an unknown conversation. */
  delete(key: ConversationKey): Promise<boolean>;
  /** The user's conversations, the latest first. */
  list(userId: string, options: ListOptions): Promise<readonly ConversationSummary[]>;
  /** Messages of a conversation, oldest first; none for an unknown one. Counts as use. */
  page?(key: ConversationKey, options: PageOptions): Promise<readonly NumberedMessage[]>;
  /** Sets the title to the result of `titleFrom`; later turns leave it alone. Counts as use. False for an unknown conversation. */
  rename?(key: ConversationKey, title: string): Promise<boolean>;
  /** Searches the user's conversations; nothing is found without a word to search for. */
  search?(userId: string, options: SearchOptions): Promise<SearchResult>;
}

/** Provided by the plugin that stores conversations. */
export const ConversationStore = createToken<ConversationStore>('conversations');
