import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type ConversationSummary,
  type ListOptions,
  WaggleError,
} from '#kernel';
import { charsOf, titleOf } from '#sdk';
import type { Config } from './config.js';

interface Conversation {
  readonly key: ConversationKey;
  readonly messages: ChatMessage[];
  title: string;
  chars: number;
  usedAt: number;
  updatedAt: number;
}

/** Conversations in memory, which are lost when the process ends. */
export class MemoryStore implements ConversationStore {
  /** In order of last use, the least recent one first. */
  readonly #conversations = new Map<string, Conversation>();
  readonly #limits: Config;
  readonly #now: () => number;
  #chars = 0;
  #updatedAt = 0;

  /** `now` is a monotonic clock in milliseconds, so that a jump of the wall clock forgets nothing. */
  constructor(limits: Config, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  get size(): number {
    return this.#conversations.size;
  }

  async read(key: ConversationKey, limit = Number.POSITIVE_INFINITY): Promise<readonly ChatMessage[]> {
    this.#expire();
    const conversation = this.#conversations.get(idOf(key));
    if (!conversation) return [];
    this.#touch(idOf(key), conversation);
    const { messages } = conversation;
    return messages.slice(Math.max(0, messages.length - limit));
  }

  async append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    const { conversationLimitChars } = this.#limits;
    if (messages.some((message) => charsOf(message) > conversationLimitChars))
      throw new WaggleError('TOO_LARGE', { limitBytes: conversationLimitChars });
    if (messages.length === 0) return;
    this.#expire();
    const id = idOf(key);
    const conversation = this.#conversations.get(id) ?? {
      key,
      messages: [],
      title: '',
      chars: 0,
      usedAt: 0,
      updatedAt: 0,
    };
    this.#touch(id, conversation);
    this.#updatedAt = Math.max(Date.now(), this.#updatedAt + 1);
    conversation.updatedAt = this.#updatedAt;
    conversation.title ||= titleOf(messages);
    for (const message of messages) {
      conversation.messages.push(message);
      this.#count(conversation, charsOf(message));
    }
    this.#trim(conversation);
    if (conversation.messages.length === 0) this.#remove(id);
    this.#evict();
  }

  async retract(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    const conversation = this.#conversations.get(idOf(key));
    if (!conversation) return;
    for (const message of messages) {
      const at = conversation.messages.lastIndexOf(message);
      if (at < 0) continue;
      conversation.messages.splice(at, 1);
      this.#count(conversation, -charsOf(message));
    }
    if (conversation.messages.length === 0) this.#remove(idOf(key));
  }

  async delete(key: ConversationKey): Promise<boolean> {
    this.#expire();
    return this.#remove(idOf(key));
  }

  async list(
    userId: string,
    { limit, before = Number.POSITIVE_INFINITY }: ListOptions,
  ): Promise<readonly ConversationSummary[]> {
    this.#expire();
    return [...this.#conversations.values()]
      .filter(({ key, updatedAt }) => key.userId === userId && updatedAt < before)
      .sort((a, b) => b.updatedAt - a.updatedAt)
      .slice(0, limit)
      .map(({ key, title, messages, updatedAt }) => ({
        conversationId: key.conversationId,
        title,
        messages: messages.length,
        updatedAt,
      }));
  }

  #touch(id: string, conversation: Conversation): void {
    conversation.usedAt = this.#now();
    this.#conversations.delete(id);
    this.#conversations.set(id, conversation);
  }

  /** Drops the oldest messages above a limit, up to the next user message. */
  #trim(conversation: Conversation): void {
    const { maxMessages, conversationLimitChars } = this.#limits;
    const { messages } = conversation;
    const isOver = () => messages.length > maxMessages || conversation.chars > conversationLimitChars;
    for (let cut = isOver(); cut && messages[0]; cut = isOver() || messages[0]?.role !== 'user') {
      this.#count(conversation, -charsOf(messages[0]));
      messages.shift();
    }
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

  #remove(id: string): boolean {
    const conversation = this.#conversations.get(id);
    if (!conversation) return false;
    this.#conversations.delete(id);
    this.#chars -= conversation.chars;
    return true;
  }
}

function idOf({ userId, conversationId }: ConversationKey): string {
  return JSON.stringify([userId, conversationId]);
}
