import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type ConversationSummary,
  type ListOptions,
  type NumberedMessage,
  type PageOptions,
  type SearchOptions,
  type SearchResult,
  WaggleError,
} from '#kernel';
import { charsOf, conversationKey, IdMap, LinkedList, type Place, titleFrom, titleOf } from '#sdk';
import type { Config } from './config.js';
import { MessageScan } from './message-scan.js';

interface Conversation {
  readonly id: string;
  readonly key: ConversationKey;
  readonly messages: ChatMessage[];
  /** The number of each message. */
  readonly numbers: number[];
  title: string;
  /** Set by its user, with the number of this change; else undefined. */
  renamed: number | undefined;
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
  readonly #scan = new MessageScan();
  #chars = 0;
  #updatedAt = 0;
  #number = 0;

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
    const conversation = this.#conversations.get(conversationKey(key));
    if (!conversation) return [];
    this.#touch(conversation);
    const { messages } = conversation;
    return messages.slice(Math.max(0, messages.length - limit));
  }

  async append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    this.#check(messages);
    if (messages.length === 0) return;
    this.#expire();
    const id = conversationKey(key);
    const known = this.#conversations.get(id);
    const conversation = known ?? this.#create(id, key, messages);
    this.#touch(conversation);
    this.#updatedAt = Math.max(Date.now(), this.#updatedAt + 1);
    conversation.updatedAt = this.#updatedAt;
    conversation.title ||= titleOf(messages);
    for (const message of messages) {
      if (known) known.messages.push(message);
      conversation.numbers.push(++this.#number);
      this.#count(conversation, charsOf(message));
    }
    this.#trim(conversation);
    if (conversation.messages.length === 0) this.#remove(conversation);
    this.#evict();
  }

  async retract(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    const conversation = this.#conversations.get(conversationKey(key));
    if (!conversation) return;
    for (const message of messages) {
      const at = conversation.messages.lastIndexOf(message);
      if (at < 0) continue;
      conversation.messages.splice(at, 1);
      conversation.numbers.splice(at, 1);
      this.#count(conversation, -charsOf(message));
    }
    if (conversation.messages.length === 0) this.#remove(conversation);
  }

  async replace(
    key: ConversationKey,
    from: number,
    messages: readonly ChatMessage[],
    last?: number,
  ): Promise<boolean> {
    this.#check(messages);
    this.#expire();
    const conversation = this.#conversations.get(conversationKey(key));
    if (last !== undefined && conversation?.numbers.at(-1) !== last) return false;
    const start = conversation?.numbers.findIndex((number) => number >= from) ?? -1;
    if (conversation && start >= 0) {
      conversation.numbers.splice(start);
      for (const message of conversation.messages.splice(start)) this.#count(conversation, -charsOf(message));
      if (conversation.messages.length + messages.length === 0) this.#remove(conversation);
    }
    await this.append(key, messages);
    return true;
  }

  async delete(key: ConversationKey): Promise<boolean> {
    this.#expire();
    const conversation = this.#conversations.get(conversationKey(key));
    if (conversation) this.#remove(conversation);
    return conversation !== undefined;
  }

  async page(
    key: ConversationKey,
    { limit, before = Number.POSITIVE_INFINITY }: PageOptions,
  ): Promise<readonly NumberedMessage[]> {
    this.#expire();
    const conversation = this.#conversations.get(conversationKey(key));
    if (!conversation) return [];
    this.#touch(conversation);
    const { messages, numbers } = conversation;
    const later = numbers.findIndex((number) => number >= before);
    const end = later < 0 ? numbers.length : later;
    const start = Math.max(0, end - limit);
    return numbers
      .slice(start, end)
      .map((number, index) => ({ number, message: messages[start + index] as ChatMessage }));
  }

  async rename(key: ConversationKey, title: string): Promise<boolean> {
    this.#expire();
    const conversation = this.#conversations.get(conversationKey(key));
    if (!conversation) return false;
    this.#touch(conversation);
    conversation.title = titleFrom(title);
    conversation.renamed = conversation.title ? ++this.#number : undefined;
    return true;
  }

  /** @throws QUEUE_FULL */
  async search(userId: string, options: SearchOptions): Promise<SearchResult> {
    this.#expire();
    const theirs = [...this.#byUse].filter(({ key }) => key.userId === userId);
    return { hits: await this.#scan.search(theirs, options), complete: true };
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

  /** @throws TOO_LARGE */
  #check(messages: readonly ChatMessage[]): void {
    const { conversationLimitChars } = this.#limits;
    if (messages.some((message) => charsOf(message) > conversationLimitChars))
      throw new WaggleError('TOO_LARGE', {
        limitBytes: conversationLimitChars,
        unit: 'characters',
        key: '"conversationLimitChars" of the store',
      });
  }

  #create(id: string, key: ConversationKey, messages: readonly ChatMessage[]): Conversation {
    const times = { usedAt: 0, updatedAt: 0 };
    const conversation = {
      id,
      key,
      messages: [...messages],
      numbers: [],
      title: '',
      renamed: undefined,
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
      conversation.numbers.shift();
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
