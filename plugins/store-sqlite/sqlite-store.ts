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
import { charsOf, settleWithin, titleFrom, titleOf } from '#sdk';
import type { Config } from './config.js';
import { FileThread } from './file-thread.js';

/** Conversations in one SQLite file, which survive any end of the process. */
export class SqliteStore implements ConversationStore {
  readonly #thread: FileThread;
  readonly #conversationLimitChars: number;

  private constructor(thread: FileThread, { conversationLimitChars }: Config) {
    this.#thread = thread;
    this.#conversationLimitChars = conversationLimitChars;
  }

  /** `onTrouble` gets the reason why nothing can be stored, and undefined when that is over. @throws STORE_UNUSABLE */
  static async open(config: Config, onTrouble: (trouble: string | undefined) => void): Promise<SqliteStore> {
    return new SqliteStore(await FileThread.open(config, onTrouble), config);
  }

  get trouble(): string | undefined {
    return this.#thread.trouble;
  }

  async read(key: ConversationKey, limit = Number.POSITIVE_INFINITY): Promise<readonly ChatMessage[]> {
    const messages = await this.#thread.ask('read', 0, key, limit);
    return JSON.parse(`[${messages.join()}]`);
  }

  async append(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    const { turn, allChars } = this.#turnOf(key, messages);
    if (messages.length > 0) await this.#thread.ask('append', allChars, turn);
  }

  async replace(
    key: ConversationKey,
    from: number,
    messages: readonly ChatMessage[],
    last?: number,
  ): Promise<boolean> {
    const { turn, allChars } = this.#turnOf(key, messages);
    return this.#thread.ask('replace', allChars, turn, from, last);
  }

  async retract(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    await this.#thread.ask('retract', 0, key, messages);
  }

  async page(key: ConversationKey, options: PageOptions): Promise<readonly NumberedMessage[]> {
    const rows = await this.#thread.ask('page', 0, key, options);
    return rows.map(([number, message]) => ({ number, message: JSON.parse(message) }));
  }

  async rename(key: ConversationKey, title: string): Promise<boolean> {
    return this.#thread.ask('rename', 0, key, titleFrom(title));
  }

  async search(userId: string, options: SearchOptions): Promise<SearchResult> {
    return this.#thread.ask('search', 0, userId, options);
  }

  async delete(key: ConversationKey): Promise<boolean> {
    return this.#thread.ask('delete', 0, key);
  }

  async list(userId: string, options: ListOptions): Promise<readonly ConversationSummary[]> {
    return this.#thread.ask('list', 0, userId, options);
  }

  /** @throws TOO_LARGE */
  #turnOf(key: ConversationKey, messages: readonly ChatMessage[]) {
    const limitBytes = this.#conversationLimitChars;
    const chars = messages.map(charsOf);
    if (chars.some((each) => each > limitBytes))
      throw new WaggleError('TOO_LARGE', {
        limitBytes,
        unit: 'characters',
        key: '"conversationLimitChars" of the store',
      });
    const allChars = chars.reduce((sum, each) => sum + each, 0);
    return { turn: { key, title: titleOf(messages), messages, chars }, allChars };
  }

  /** Writes waiting calls and closes the file, or gives up after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    if (!(await settleWithin(this.#thread.close(), timeoutMs))) await this.#thread.terminate();
  }
}
