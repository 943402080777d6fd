import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type ConversationSummary,
  type ListOptions,
  WaggleError,
} from '#kernel';
import { charsOf, settleWithin, titleOf } from '#sdk';
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
    const limitBytes = this.#conversationLimitChars;
    if (messages.some((message) => charsOf(message) > limitBytes))
      throw new WaggleError('TOO_LARGE', { limitBytes });
    if (messages.length === 0) return;
    const chars = messages.reduce((sum, message) => sum + charsOf(message), 0);
    await this.#thread.ask('append', chars, { key, title: titleOf(messages), messages });
  }

  async retract(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    await this.#thread.ask('retract', 0, key, messages);
  }

  async delete(key: ConversationKey): Promise<boolean> {
    return this.#thread.ask('delete', 0, key);
  }

  async list(userId: string, options: ListOptions): Promise<readonly ConversationSummary[]> {
    return this.#thread.ask('list', 0, userId, options);
  }

  /** Writes waiting calls and closes the file, or gives up after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    if (!(await settleWithin(this.#thread.close(), timeoutMs))) await this.#thread.terminate();
  }
}
