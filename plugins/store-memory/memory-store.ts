import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type ConversationSummary,
  type ListOptions,
  WaggleError,
} from '#kernel';
import { charsOf, IdMap, LinkedList, type Place, titleOf } from '#sdk';
import type { Config } from './config.js';

interface Conversation {
  readonly id: string;
  readonly key: ConversationKey;
  readonly messages: ChatMessage[];
  title: string;
  chars: number;
  usedAt: number;
  updatedAt: number;
  /** Its place in the order of last use. */
  place: Place<Conversation> | undefined;
}

/** Conversations in memory, which are lost when the process ends. */
export class MemoryStore implements ConversationStore {
  readonly #conversations = new IdMap<Conversation>();
  /** The least recently used first. */
  readonly #byUse = new LinkedList<Conversation>();
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
    this.#touch(conversation);
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
    const known = this.#conversations.get(id);
    const conversation = known ?? this.#create(id, key, messages);
    this.#touch(conversation);
    this.#updatedAt = Math.max(Date.now(), this.#updatedAt + 1);
    conversation.updatedAt = this.#updatedAt;
    conversation.title ||= titleOf(messages);
    for (const message of messages) {
      if (known) known.messages.push(message);
      this.#count(conversation, charsOf(message));
    }
    this.#trim(conversation);
    if (conversation.messages.length === 0) this.#remove(conversation);
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
    if (conversation.messages.length === 0) this.#remove(conversation);
  }

  async delete(key: ConversationKey): Promise<boolean> {
    this.#expire();
    const conversation = this.#conversations.get(idOf(key));
    if (conversation) this.#remove(conversation);
    return conversation !== undefined;
  }

  async list(
    userId: string,
    { limit, before = Number.POSITIVE_INFINITY }: ListOptions,
  ): Promise<readonly ConversationSummary[]> {
    this.#expire();
    return [...this.#byUse]
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

  #create(id: string, key: ConversationKey, messages: readonly ChatMessage[]): Conversation {
    const times = { usedAt: 0, updatedAt: 0 };
    const conversation = {
      id,
      key,
      messages: [...messages],
      title: '',
      chars: 0,
      ...times,
      place: undefined,
    };
    this.#conversations.set(id, conversation);
    return conversation;
  }

  #touch(conversation: Conversation): void {
    conversation.usedAt = this.#now();
    if (conversation.place) this.#byUse.remove(conversation.place);
    conversation.place = this.#byUse.push(conversation);
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
    for (const conversation of this.#byUse) {
      if (conversation.usedAt > oldest) break;
      this.#remove(conversation);
    }
  }

  #evict(): void {
    const { maxConversations, totalLimitChars } = this.#limits;
    const isOver = () => this.#conversations.size > maxConversations || this.#chars > totalLimitChars;
    while (this.#conversations.size > 1 && isOver()) this.#remove(this.#byUse.first?.item as Conversation);
  }

  #remove(conversation: Conversation): void {
    this.#conversations.delete(conversation.id);
    if (conversation.place) this.#byUse.remove(conversation.place);
    this.#chars -= conversation.chars;
  }
}

function idOf({ userId, conversationId }: ConversationKey): string {
  return JSON.stringify([userId, conversationId]);
}
