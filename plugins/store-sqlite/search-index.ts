import { createHash } from 'node:crypto';
import type { ChatMessage, SearchHit, SearchOptions, SearchResult } from '#kernel';
import { excerptOf, queryWords, searchWords } from '#sdk/search-words';
import type { prepareStatements } from './statements.js';

// One step takes a few milliseconds.
const stepMessages = 20;
const stepRemovals = 5;
const stepChars = 100_000;

type Row = readonly [id: number, conversation: string, title: string, message?: string];

/** The index of words in the file. All methods that write run within a transaction. */
export class SearchIndex {
  readonly #statements: ReturnType<typeof prepareStatements>;
  /** Messages of the current transaction: the index is much faster when nothing else is written in between. */
  #added: (readonly [id: number, userId: string, text: string])[] = [];

  constructor(statements: ReturnType<typeof prepareStatements>) {
    this.#statements = statements;
  }

  /** Whether there is anything for `removeSome` or `indexSome`. */
  get isBehind(): boolean {
    const { removed, backlog } = this.#statements;
    return removed.get(1) !== undefined || backlog.get() !== undefined;
  }

  /** To be followed by `flush` within the transaction. */
  add(id: number, userId: string, { role, content }: ChatMessage): void {
    if (role === 'user' || role === 'assistant') this.#added.push([id, userId, content]);
  }

  flush(): void {
    const added = this.#added;
    this.#added = [];
    // A later call of the transaction may have removed it.
    for (const each of added) if (this.#statements.hasMessage.get(each[0])) this.#add(...each);
  }

  /** Forgets what was not flushed. */
  rollBack(): void {
    this.#added = [];
  }

  /** Replaces the title that a user has set; an empty one is none. */
  setTitle(conversation: number, userId: string, title: string): void {
    this.#add(-conversation, userId, title);
  }

  /** `usedAfter`: leaves out conversations that have expired. */
  search(userId: string, { text, limit, before }: SearchOptions, usedAfter: number): SearchResult {
    const query = queryWords(text);
    const complete = this.#statements.backlog.get() === undefined;
    if (query.length === 0) return { hits: [], complete };
    this.flush();
    const owner = ownerOf(userId);
    const match = query.map((word) => `"${owner}_${word}"*`).join(' AND ');
    const find = (statement: 'searchMessages' | 'searchTitles', below: number, count: number) =>
      this.#statements[statement].all(
        match,
        below,
        JSON.stringify(userId),
        usedAfter,
        count,
      ) as readonly Row[];
    const below = before ?? Number.MAX_SAFE_INTEGER;
    const messages = below > 0 ? find('searchMessages', below, limit) : [];
    const titles = find('searchTitles', Math.min(below, 0), limit - messages.length);
    return { hits: [...messages, ...titles].map((row) => hitOf(row, query)), complete };
  }

  /** Removes words of deleted messages. Returns whether there are more. */
  removeSome(): boolean {
    const { removed, removeWords } = this.#statements;
    const ids = removed.all(stepRemovals) as readonly [number][];
    for (const [id] of ids) removeWords.run(id);
    return ids.length === stepRemovals;
  }

  /** Indexes messages of a backlog. Returns whether there are more. */
  indexSome(): boolean {
    const { backlog, unindexed, shrinkBacklog, endBacklog } = this.#statements;
    const [last] = (backlog.get() ?? []) as readonly [number?];
    if (last === undefined) return false;
    const rows = unindexed.all(last, stepMessages) as readonly [number, string, string][];
    let left = last;
    let chars = 0;
    for (const [id, user, message] of rows) {
      if (chars > stepChars) break;
      this.add(id, JSON.parse(user), JSON.parse(message));
      chars += message.length;
      left = id - 1;
    }
    this.flush();
    const hasMore = rows.length > 0;
    if (hasMore) shrinkBacklog.run(left);
    else endBacklog.run();
    return hasMore;
  }

  #add(id: number, userId: string, text: string): void {
    const { hasWords, removeWords, addWords, index } = this.#statements;
    // Of a deleted message, whose id SQLite has given to this one.
    if (hasWords.get(id)) removeWords.run(id);
    const words = [...searchWords(text)];
    if (words.length === 0) return;
    const owner = ownerOf(userId);
    addWords.run(id, owner, words.join(' '));
    // As the view has them.
    index.run(id, words.map((word) => `${owner}_${word}`).join(' '));
  }
}

function hitOf([number, conversation, title, message]: Row, query: readonly string[]): SearchHit {
  const conversationId: string = JSON.parse(conversation);
  if (message === undefined) return { conversationId, title, number, excerpt: title };
  const { role, content, at }: ChatMessage = JSON.parse(message);
  const excerpt = excerptOf(content, query);
  return { conversationId, title, number, role, excerpt, ...(at !== undefined && { at }) };
}

/** Short, and of characters that a word may have. Two users with one name are told apart by their conversations. */
function ownerOf(userId: string): string {
  return createHash('sha256').update(JSON.stringify(userId)).digest('hex').slice(0, 16);
}
