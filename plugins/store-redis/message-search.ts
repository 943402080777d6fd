import { setImmediate } from 'node:timers/promises';
import {
  type NumberedMessage,
  type SearchHit,
  type SearchOptions,
  type SearchResult,
  WaggleError,
} from '#kernel';
import { excerptOf, hasWords, queryWords } from '#sdk';
import type { ListedConversation } from './redis-store.js';

const maxWaiting = 100;
const retryAfterMs = 1000;
/** Messages read at once. */
const pageMessages = 100;
/** Conversations listed at once. */
const pageConversations = 200;

/** The conversations that are searched. */
export interface Searched {
  listed(userId: string, limit: number, before?: number): Promise<readonly ListedConversation[]>;
  peek(userId: string, hash: string, before: number, limit: number): Promise<readonly NumberedMessage[]>;
}

/** Searches by reading every message that may be among the newest hits, one search at a time. */
export class MessageSearch {
  readonly #store: Searched;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(store: Searched) {
    this.#store = store;
  }

  /** The newest hits first, titles last. @throws QUEUE_FULL */
  async search(userId: string, options: SearchOptions): Promise<SearchResult> {
    if (this.#waiting >= maxWaiting)
      throw new WaggleError('QUEUE_FULL', { limit: maxWaiting, what: 'searches waiting', retryAfterMs });
    this.#waiting++;
    const search = this.#last.then(() => this.#hits(userId, options));
    this.#last = search.catch(() => {});
    try {
      return { hits: await search, complete: true };
    } finally {
      this.#waiting--;
    }
  }

  async #hits(userId: string, { text, limit, before }: SearchOptions): Promise<readonly SearchHit[]> {
    const query = queryWords(text);
    if (query.length === 0 || limit === 0) return [];
    const hits = new Hits(limit, before ?? Number.POSITIVE_INFINITY);
    // The newest first: most conversations need not be read.
    for await (const conversation of this.#conversations(userId)) {
      const { title, conversationId, renamed, last } = conversation;
      if (hits.isFullAbove(last)) break;
      await this.#searchMessages(userId, conversation, query, hits);
      if (renamed > 0 && hits.isNeeded(-renamed) && hasWords(title, query))
        hits.add({ conversationId, title, number: -renamed, excerpt: title });
    }
    return hits.list;
  }

  async *#conversations(userId: string): AsyncIterable<ListedConversation> {
    for (let before: number | undefined; ; ) {
      const page = await this.#store.listed(userId, pageConversations, before);
      yield* page;
      if (page.length < pageConversations) return;
      before = page.at(-1)?.updatedAt;
    }
  }

  async #searchMessages(
    userId: string,
    { hash, title, conversationId, last }: ListedConversation,
    query: readonly string[],
    hits: Hits,
  ): Promise<void> {
    let below = Math.min(hits.before, last + 1);
    while (below > 0 && hits.isNeeded(below - 1)) {
      const page = await this.#store.peek(userId, hash, below, pageMessages);
      for (const { number, message } of page) {
        const { role, content, at } = message;
        below = number;
        if (role !== 'user' && role !== 'assistant') continue;
        if (hits.isNeeded(number) && hasWords(content, query))
          hits.add({
            ...{ conversationId, title, number, role, excerpt: excerptOf(content, query) },
            ...(at !== undefined && { at }),
          });
      }
      if (page.length < pageMessages) return;
      await setImmediate();
    }
  }
}

/** The hits with the highest numbers below a number. */
class Hits {
  readonly list: SearchHit[] = [];

  constructor(
    readonly limit: number,
    readonly before: number,
  ) {}

  isNeeded(number: number): boolean {
    const { list, limit, before } = this;
    return number < before && (list.length < limit || number > (list.at(-1) as SearchHit).number);
  }

  /** Whether no number up to this one is needed any more. */
  isFullAbove(number: number): boolean {
    return this.list.length === this.limit && number <= (this.list.at(-1) as SearchHit).number;
  }

  add(hit: SearchHit): void {
    const place = this.list.findIndex(({ number }) => number < hit.number);
    this.list.splice(place < 0 ? this.list.length : place, 0, hit);
    if (this.list.length > this.limit) this.list.pop();
  }
}
