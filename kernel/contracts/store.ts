import { createToken } from '../services.js';
import type { ChatMessage } from './agent.js';

/** Names one conversation. The same `conversationId` of two users is two conversations. */
export interface ConversationKey {
  readonly userId: string;
  readonly conversationId: string;
}

/** Keeps conversations within bounds; the oldest go first. */
export interface ConversationStore {
  /** The latest messages, oldest first; empty for an unknown conversation. */
  read(key: ConversationKey): Promise<readonly ChatMessage[]>;
  /** Adds a whole turn at once. @throws TOO_LARGE when a message is larger than a whole conversation may be */
  append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void>;
  delete(key: ConversationKey): Promise<void>;
}

/** Provided by the plugin that remembers. */
export const ConversationStore = createToken<ConversationStore>('conversations');
