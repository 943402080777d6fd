import {
  type ChatMessage,
  type ConversationKey,
  type ConversationStore,
  type ConversationSummary,
  type ListOptions,
  type Logger,
  type NumberedMessage,
  type PageOptions,
  type SearchOptions,
  type SearchResult,
  WaggleError,
} from '#kernel';
import { charsOf, titleFrom, titleOf } from '#sdk';
import { type LinkTimes, preparation, RedisLink, type RedisScript } from '#sdk/redis';
import type { Config } from './config.js';
import { type ConversationKeys, Keys } from './keys.js';
import { MessageSearch } from './message-search.js';
import * as scripts from './scripts.js';

/** Time until trouble is shown. */
const troubleMs = 3000;
/** How many later messages a retracted turn may have. */
const maxSince = 100;
/** Characters of messages on their way: what even a slow network carries before its silence is taken for an outage. */
const pendingLimitChars = 16_000_000;
const retryAfterMs = 1000;
/** Messages of one reply of the server. */
const pageMessages = 500;

/** A conversation in the list of a user. */
export interface ListedConversation extends ConversationSummary {
  readonly hash: string;
  /** The number of its renaming; 0 where its title is the first words of its user. */
  readonly renamed: number;
  /** The number of its last message. */
  readonly last: number;
}

/** Conversations in Redis, the same for all servers. */
export class RedisStore implements ConversationStore {
  readonly #link: RedisLink;
  readonly #keys: Keys;
  readonly #limits: Config;
  readonly #search: MessageSearch;
  readonly #logger: Logger;
  #pendingChars = 0;

  constructor(config: Config, logger: Logger, times?: LinkTimes) {
    this.#limits = config;
    this.#logger = logger;
    this.#keys = new Keys(config.prefix);
    this.#search = new MessageSearch(this);
    this.#link = new RedisLink({
      ...{ config, logger, name: 'waggle:store' },
      ...(times && { times }),
      prepare: preparation(config, Object.values(scripts)),
    });
  }

  /** @throws ENGINE_UNUSABLE */
  start(): Promise<void> {
    return this.#link.start();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  get engineCommands(): Readonly<Record<string, number>> {
    return this.#link.commands;
  }

  get trouble(): string | undefined {
    return this.#link.awayMs < troubleMs ? undefined : 'the engine that keeps them is away';
  }

  async read(key: ConversationKey, limit = Number.POSITIVE_INFINITY): Promise<readonly ChatMessage[]> {
    const messages: ChatMessage[][] = [];
    let before: number | undefined;
    for (let left = limit; left > 0; left -= pageMessages) {
      const page = await this.page(key, { limit: Math.min(left, pageMessages), before });
      messages.unshift(page.map(({ message }) => message));
      before = page[0]?.number;
      if (page.length < pageMessages) break;
    }
    return messages.flat();
  }

  /** The same `turnId` twice is once. */
  async append(key: ConversationKey, messages: readonly ChatMessage[], turnId = ''): Promise<void> {
    if (messages.length > 0) await this.#put(key, messages, turnId);
  }

  async replace(
    key: ConversationKey,
    from: number,
    messages: readonly ChatMessage[],
    last?: number,
  ): Promise<boolean> {
    return this.#put(key, messages, '', { from, last });
  }

  /** @throws TOO_LARGE, QUEUE_FULL */
  async #put(
    key: ConversationKey,
    messages: readonly ChatMessage[],
    turnId: string,
    { from, last }: { readonly from?: number; readonly last?: number | undefined } = {},
  ): Promise<boolean> {
    const { conversationLimitChars, maxMessages, timeToLiveMs } = this.#limits;
    if (messages.some((message) => charsOf(message) > conversationLimitChars))
      throw new WaggleError('TOO_LARGE', {
        limitBytes: conversationLimitChars,
        unit: 'characters',
        key: '"conversationLimitChars" of the store',
      });
    const { all, hash, member } = this.#keys.conversation(key);
    const limits = [maxMessages, conversationLimitChars, timeToLiveMs].map(String);
    // The rest of a long import would be dropped at once; one above the limit shows that something was.
    const rows = messages
      .slice(-maxMessages - 1)
      .flatMap((message) => [
        JSON.stringify(message),
        String(charsOf(message)),
        message.role === 'user' ? 'u' : 'o',
      ]);
    const args = [hash, JSON.stringify(key.conversationId), titleOf(messages), ...limits, turnId];
    args.push(from === undefined ? '' : String(Math.max(0, Math.ceil(from))), `${last ?? ''}`, ...rows);
    const chars = Number(await this.#write(scripts.appendTurn, all, args));
    if (chars >= 0) await this.#keepBooks(member, chars);
    return chars >= 0;
  }

  async retract(key: ConversationKey, messages: readonly ChatMessage[]): Promise<void> {
    const { all, hash, member } = this.#keys.conversation(key);
    const texts = messages.map((message) => JSON.stringify(message));
    const args = [hash, String(maxSince + texts.length), ...texts];
    const chars = Number(await this.#write(scripts.retractTurn, all, args));
    if (chars >= 0) await this.#keepBooks(member, chars, false);
  }

  async delete(key: ConversationKey): Promise<boolean> {
    const keys = this.#keys.conversation(key);
    const isKnown = await this.#remove(keys, '');
    await this.#keepBooks(keys.member, 0);
    return isKnown;
  }

  async page(key: ConversationKey, { limit, before }: PageOptions): Promise<readonly NumberedMessage[]> {
    if (limit === 0 || (before ?? 1) <= 0) return [];
    const { all, member } = this.#keys.conversation(key);
    const args = [below(before), countOf(limit), this.#ttl];
    const [found] = await Promise.all([
      this.#link.run(scripts.readMessages, all, args),
      this.#noteUse(member),
    ]);
    return pairsOf(found)
      .map(([id, message]) => ({ number: Number.parseInt(id, 10), message: JSON.parse(message) }))
      .reverse();
  }

  async rename(key: ConversationKey, title: string): Promise<boolean> {
    const { all, member } = this.#keys.conversation(key);
    const [isKnown] = await Promise.all([
      this.#link.run(scripts.renameConversation, all, [titleFrom(title), this.#ttl]),
      this.#noteUse(member),
    ]);
    return isKnown === 1;
  }

  async list(userId: string, { limit, before }: ListOptions): Promise<readonly ConversationSummary[]> {
    const found = await this.listed(userId, limit, before);
    return found.map(({ conversationId, title, messages, updatedAt }) => ({
      ...{ conversationId, title, messages, updatedAt },
    }));
  }

  search(userId: string, options: SearchOptions): Promise<SearchResult> {
    return this.#search.search(userId, options);
  }

  /** A user's conversations with all that a search needs to know of them, the latest first. */
  async listed(userId: string, limit: number, before?: number): Promise<readonly ListedConversation[]> {
    const { list, start } = this.#keys.user(userId);
    const args = [start, Number.isFinite(before ?? Number.NaN) ? `(${before}` : '+inf', countOf(limit)];
    const found = (await this.#link.run(scripts.listConversations, [list], args)) as readonly string[];
    const conversations: ListedConversation[] = [];
    for (let at = 0; at < found.length; at += 7) {
      const [hash = '', id = '', title = '', renamed, count, last, updatedAt] = found.slice(at, at + 7);
      conversations.push({
        ...{ hash, title, conversationId: JSON.parse(id) },
        ...{
          renamed: Number(renamed),
          messages: Number(count),
          last: Number(last),
          updatedAt: Number(updatedAt),
        },
      });
    }
    return conversations;
  }

  /** Messages of a conversation below a number, the latest first; does not count as use. */
  async peek(
    userId: string,
    hash: string,
    before: number,
    limit: number,
  ): Promise<readonly NumberedMessage[]> {
    const { start } = this.#keys.user(userId);
    const entries = (await this.#link.send(
      ...['XREVRANGE', `${start}x:${hash}`, below(before), '-', 'COUNT', String(limit)],
    )) as readonly (readonly [string, readonly string[]])[];
    return entries.map(([id, fields]) => ({
      number: Number.parseInt(id, 10),
      message: JSON.parse(fields[1] as string),
    }));
  }

  get #ttl(): string {
    return String(this.#limits.timeToLiveMs);
  }

  /** Counts as use. That it cannot be noted, as on a server without memory, is no reason not to read. */
  async #noteUse(member: string): Promise<void> {
    const [uses] = this.#keys.books;
    await this.#link
      .run(scripts.noteUse, [uses], [member])
      .catch((error) => this.#logger.debug({ err: error }, 'a use is not noted'));
  }

  /**
   * Writes the size of a conversation into the books, and removes those that are over the limits of all. Never rejects: what
   * was asked for is done by then, and the next turn makes up for it.
   */
  async #keepBooks(member: string, chars: number, isUse = true): Promise<void> {
    const { maxConversations, totalLimitChars, timeToLiveMs } = this.#limits;
    const args = [chars, maxConversations, totalLimitChars, timeToLiveMs].map(String);
    try {
      const gone = await this.#link.run(scripts.keepBooks, this.#keys.books, [
        member,
        ...args,
        isUse ? 'use' : '',
      ]);
      await Promise.all(pairsOf(gone).map(([each, usedAt]) => this.#remove(this.#keys.entry(each), usedAt)));
    } catch (err) {
      this.#logger.warn({ err }, 'the sizes of conversations are not up to date');
    }
  }

  async #remove({ all, hash }: ConversationKeys, unlessAfter: string): Promise<boolean> {
    return (await this.#link.run(scripts.removeConversation, all, [hash, unlessAfter])) === 1;
  }

  /** @throws QUEUE_FULL when too much is on its way */
  async #write(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const chars = args.reduce((sum, { length }) => sum + length, 0);
    if (this.#pendingChars > 0 && this.#pendingChars + chars > pendingLimitChars)
      throw new WaggleError('QUEUE_FULL', {
        ...{ limit: pendingLimitChars, what: 'characters that wait to be stored', retryAfterMs },
      });
    this.#pendingChars += chars;
    try {
      return await this.#link.run(script, keys, args);
    } finally {
      this.#pendingChars -= chars;
    }
  }
}

/** The id of a stream to begin below. */
function below(number = Number.POSITIVE_INFINITY): string {
  return Number.isFinite(number) ? `(${Math.ceil(number)}-0` : '+';
}

/** Any limit as Redis takes it. */
function countOf(limit: number): string {
  return String(Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER));
}

function pairsOf(reply: unknown): readonly (readonly [string, string])[] {
  const list = reply as readonly string[];
  return Array.from({ length: list.length / 2 }, (_, at) => [
    list[2 * at] as string,
    list[2 * at + 1] as string,
  ]);
}
