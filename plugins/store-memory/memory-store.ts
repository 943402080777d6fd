import { type ChatMessage, type ConversationKey, type ConversationStore, WaggleError } from '#kernel';
import type { Config } from './config.js';

interface Conversation {
  readonly messages: ChatMessage[];
  chars: number;
  usedAt: number;
}

/** Conversations in this process. They are lost when it ends. */
export class MemoryStore implements ConversationStore {
  /** In order of last use, the least recent one first. */
  readonly #conversations = new Map<string, Conversation>();
  readonly #limits: Config;
  readonly #now: () => number;
  #chars = 0;

  /** `now` is a monotonic clock in milliseconds, so that a jump of the wall clock forgets nothing. */
  constructor(limits: Config, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  get size(): number {
    return this.#conversations.size;
  }

  async read(key: ConversationKey): Promise<readonly ChatMessage[]> {
    this.#expire();
    const conversation = this.#conversations.get(idOf(key));
    if (!conversation) return [];
    this.#touch(idOf(key), conversation);
    return [...conversation.messages];
  }

  async append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    const { conversationLimitChars, maxMessages } = this.#limits;
    if (messages.some((message) => message.content.length > conversationLimitChars))
      throw new WaggleError('TOO_LARGE', { limitBytes: conversationLimitChars });
    this.#expire();
    const id = idOf(key);
    const conversation = this.#conversations.get(id) ?? { messages: [], chars: 0, usedAt: 0 };
    this.#touch(id, conversation);
    for (const message of messages) {
      conversation.messages.push(message);
      this.#count(conversation, message.content.length);
    }
    while (conversation.messages.length > maxMessages || conversation.chars > conversationLimitChars)
      this.#count(conversation, -(conversation.messages.shift()?.content.length ?? 0));
    this.#evict();
  }

  async delete(key: ConversationKey): Promise<void> {
    this.#remove(idOf(key));
  }

  #touch(id: string, conversation: Conversation): void {
    conversation.usedAt = this.#now();
    this.#conversations.delete(id);
    this.#conversations.set(id, conversation);
  }

  #count(conversation: Conversation, chars: number): void {
    conversation.chars += chars;
    this.#chars += chars;
  }

  #expire(): void {
    const oldest = this.#now() - this.#limits.timeToLiveMs;
    for (const [id, conversation] of this.#conversations) {
      if (conversation.usedAt > oldest) break;
      this.#remove(id);
    }
  }

  #evict(): void {
    const { maxConversations, totalLimitChars } = this.#limits;
    for (const id of this.#conversations.keys()) {
      const fits = this.#conversations.size <= maxConversations && this.#chars <= totalLimitChars;
      if (fits || this.#conversations.size === 1) break;
      this.#remove(id);
    }
  }

  #remove(id: string): void {
    const conversation = this.#conversations.get(id);
    if (!conversation) return;
    this.#conversations.delete(id);
    this.#chars -= conversation.chars;
  }
}

function idOf({ userId, conversationId }: ConversationKey): string {
  return JSON.stringify([userId, conversationId]);
}
