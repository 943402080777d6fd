import type {
  ChatMessage,
  ConversationKey,
  ConversationSummary,
  ListOptions,
  PageOptions,
  SearchOptions,
  SearchResult,
} from '#kernel';
import { FileState } from './file-state.js';
import {
  closeFile,
  codeOf,
  ensureFile,
  lockFile,
  openFile,
  type SqliteFile,
  wordingOf,
} from './open-file.js';
import { SearchIndex } from './search-index.js';
import { prepareStatements } from './statements.js';

export interface Limits {
  readonly maxMessages: number;
  readonly conversationLimitChars: number;
  readonly maxConversations: number;
  readonly totalLimitChars: number;
  readonly timeToLiveMs: number;
}

/** Messages to append with the size of each, and the title for a new conversation. */
interface Turn {
  readonly key: ConversationKey;
  readonly title: string;
  readonly messages: readonly ChatMessage[];
  readonly chars: readonly number[];
}

interface Inserted {
  readonly lastInsertRowid: number | bigint;
}

/** Methods that the thread can call. */
export type Method =
  | 'append'
  | 'replace'
  | 'retract'
  | 'read'
  | 'page'
  | 'rename'
  | 'delete'
  | 'list'
  | 'search';
export type Call = {
  readonly [M in Method]: { readonly method: M; readonly args: Parameters<ConversationFile[M]> };
}[Method];
/** Result of a call: a value, or the reason of its failure. */
export type Outcome = { readonly value: unknown } | { readonly why: string };

/** Bound per call: usually a few conversations are over a limit, but after a long stop all of them may be. */
const maxForgottenAtOnce = 100;
const maxNoted = 1000;
const maxRemovalMs = 3000;
/** How many later messages a retracted turn may have. */
const maxSince = 100;

/** Conversations in one SQLite file, called through `run`. Every method blocks on the disk. */
export class ConversationFile {
  readonly #file: SqliteFile;
  readonly #unlock: () => void;
  readonly #state: FileState;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #index: SearchIndex;
  /** Times of reads, written with the next write, so that a read writes nothing. */
  readonly #usedAt = new Map<number, number>();
  /** Those of `#usedAt` that the current transaction has written. */
  readonly #noted = new Map<number, number>();
  #count = 0;
  #chars = 0;
  #updatedAt = 0;

  /**
   * Opens or creates the file. `now` is in milliseconds since 1970, with fractions, so that times are distinct.
   * Throws errors for `wordingOf`.
   */
  constructor(
    path: string,
    limits: Limits,
    now: () => number = () => performance.timeOrigin + performance.now(),
  ) {
    this.#limits = limits;
    this.#now = now;
    const place = ensureFile(path);
    this.#unlock = lockFile(place);
    try {
      this.#file = openFile(place);
      this.#statements = prepareStatements(this.#file);
      this.#index = new SearchIndex(this.#statements);
      this.#total();
      this.#state = new FileState(this.#file, place);
    } catch (error) {
      this.#unlock();
      throw error;
    }
  }

  /** Why nothing can be stored; undefined while all is well. */
  get trouble(): string | undefined {
    return this.#state.trouble;
  }

  /** Checks whether a failure is over. */
  check(): void {
    this.#state.check();
  }

  /**
   * Does a part of what the index of the search is behind: words of deleted messages, and messages of a file that an older
   * Waggle has written. Returns whether there is more; not while nothing can be stored.
   */
  indexSome(): boolean {
    if (!this.#index.isBehind || this.trouble) return false;
    try {
      return this.#transaction(true, () => this.#index.removeSome() || this.#index.indexSome());
    } catch (error) {
      this.#state.failed(error);
      return false;
    }
  }

  /** Runs calls in order as one transaction; if that fails, each alone, so that each fails for its own reason. */
  run(calls: readonly Call[]): readonly Outcome[] {
    const mayExpire = this.#mayExpire(calls);
    try {
      return this.#transaction(mayExpire || calls.some(isWrite), () => {
        if (mayExpire) this.#expire();
        return calls.map((call) => ({ value: this.#call(call) }));
      });
    } catch (error) {
      const each = () => calls.flatMap((call) => this.run([call]));
      // The whole list has already waited for another program's lock.
      if (calls.length > 1)
        return codeOf(error) === 'SQLITE_BUSY' ? this.#state.withoutWaiting(each) : each();
      this.#state.failed(error);
      // Existing data can still be read.
      if (mayExpire && !calls.some(isWrite) && this.trouble) return this.run(calls);
      return [{ why: wordingOf(error) }];
    }
  }

  /** Appends a turn, then drops data above the limits. */
  append(turn: Turn): void {
    this.replace(turn, Number.MAX_SAFE_INTEGER);
  }

  /** Appends a turn in the place of the messages from a number on; false where the latest message is not `last`. */
  replace({ key, title, messages, chars: charsOfEach }: Turn, from: number, last?: number): boolean {
    const { upsert, insert, since, drop } = this.#statements;
    this.#expire();
    this.#removeIfExpired(key);
    if (last !== undefined && this.page(key, { limit: 1 })[0]?.[0] !== last) return false;
    const now = this.#now();
    this.#updatedAt = Math.max(Math.floor(now), this.#updatedAt + 1);
    const row = upsert.get(...idsOf(key), title, this.#updatedAt, now) as readonly [number, number, number];
    const [id, count, chars] = row;
    this.#usedAt.delete(id); // Left over from a conversation that was rolled back.
    if (count === 0) this.#count++;
    const conversation = { id, count, chars };
    const replaced = since.all(id, from) as readonly [number, number][];
    messages.forEach((message, place) => {
      const messageChars = charsOfEach[place] as number;
      const { lastInsertRowid } = insert.run(id, messageChars, JSON.stringify(message)) as Inserted;
      this.#index.add(Number(lastInsertRowid), key.userId, message);
      this.#add(conversation, 1, messageChars);
    });
    // After the others came, so that none has the number of one that is gone.
    for (const [row, rowChars] of replaced) {
      drop.run(row);
      this.#add(conversation, -1, -rowChars);
    }
    this.#trim(conversation);
    if (conversation.count === 0) this.#remove(id);
    this.#evict();
    return true;
  }

  /** Removes a turn that is among the latest. */
  retract(key: ConversationKey, messages: readonly ChatMessage[]): void {
    const id = this.#find(key);
    if (id === undefined) return;
    const { recent, drop, sizeOf, size } = this.#statements;
    const [count, chars] = sizeOf.get(id) as readonly [number, number];
    const conversation = { id, count, chars };
    const left = messages.map((message) => JSON.stringify(message));
    const rows = recent.all(id, maxSince + left.length) as readonly [number, number, string][];
    for (const [row, rowChars, message] of rows) {
      if (message !== left.at(-1)) continue;
      left.pop();
      drop.run(row);
      this.#add(conversation, -1, -rowChars);
    }
    size.run(conversation.count, conversation.chars, id);
    if (conversation.count === 0) this.#remove(id);
  }

  /** The latest messages, each as JSON, oldest first. */
  read(key: ConversationKey, limit: number): readonly string[] {
    const id = this.#find(key);
    if (id === undefined) return [];
    this.#usedAt.set(id, this.#now());
    const rows = this.#statements.latest.all(id, Number.isFinite(limit) ? limit : -1) as readonly [string][];
    return rows.map(([message]) => message).reverse();
  }

  /** Messages below a number, each as JSON with its number, oldest first. */
  page(key: ConversationKey, { limit, before }: PageOptions): readonly (readonly [number, string])[] {
    const id = this.#find(key);
    if (id === undefined) return [];
    this.#usedAt.set(id, this.#now());
    const rows = this.#statements.page.all(id, before ?? Number.MAX_SAFE_INTEGER, limit);
    return (rows as [number, string][]).reverse();
  }

  /** Sets the title. Returns whether the conversation exists. */
  rename(key: ConversationKey, title: string): boolean {
    const id = this.#find(key);
    if (id === undefined) return false;
    this.#usedAt.delete(id);
    this.#statements.rename.run(title, this.#now(), id);
    this.#index.setTitle(id, key.userId, title);
    return true;
  }

  /** Returns whether the conversation existed. */
  delete(key: ConversationKey): boolean {
    this.#removeIfExpired(key);
    const id = this.#find(key);
    if (id !== undefined) this.#remove(id);
    return id !== undefined;
  }

  /** The user's conversations, the latest first. */
  list(userId: string, { limit, before }: ListOptions): readonly ConversationSummary[] {
    const oldest = this.#now() - this.#limits.timeToLiveMs;
    const rows = this.#statements.list.all(
      JSON.stringify(userId),
      before ?? Number.MAX_SAFE_INTEGER,
      oldest,
      limit,
    ) as readonly [string, string, number, number][];
    return rows.map(([conversation, title, messages, updatedAt]) => ({
      conversationId: JSON.parse(conversation),
      title,
      messages,
      updatedAt,
    }));
  }

  search(userId: string, options: SearchOptions): SearchResult {
    return this.#index.search(userId, options, this.#now() - this.#limits.timeToLiveMs);
  }

  /** Deleted text is overwritten before, as far as that does not take too long; the rest of it after the next start. */
  close(): void {
    try {
      this.#transaction(true, () => this.#writeUsedAt());
      const until = performance.now() + maxRemovalMs;
      while (performance.now() < until && this.#transaction(true, () => this.#index.removeSome()));
    } finally {
      closeFile(this.#file);
      this.#unlock();
    }
  }

  #call(call: Call): unknown {
    const gone = isWrite(call) ? this.#state.gone : undefined;
    if (gone) throw new Error(gone);
    switch (call.method) {
      case 'append':
        return this.append(...call.args);
      case 'replace':
        return this.replace(...call.args);
      case 'retract':
        return this.retract(...call.args);
      case 'read':
        return this.read(...call.args);
      case 'page':
        return this.page(...call.args);
      case 'rename':
        return this.rename(...call.args);
      case 'delete':
        return this.delete(...call.args);
      case 'search':
        return this.search(...call.args);
      case 'list':
        return this.list(...call.args);
    }
  }

  /** Whether to write read times and expire conversations now; not while nothing can be stored. */
  #mayExpire(calls: readonly Call[]): boolean {
    const showsAll = ({ method }: Call) => method === 'list' || method === 'search';
    return (this.#usedAt.size > maxNoted || calls.some(showsAll)) && !this.trouble;
  }

  /** A writing transaction locks at its beginning: after a later lock failure SQLite only rolls back a part. */
  #transaction<T>(writes: boolean, work: () => T): T {
    this.#file.exec(writes ? 'BEGIN IMMEDIATE' : 'BEGIN');
    try {
      const result = work();
      this.#index.flush();
      this.#file.exec('COMMIT');
      this.#noted.clear();
      return result;
    } catch (error) {
      // Some errors, such as a full disk, have already ended the transaction.
      if (this.#file.inTransaction) this.#file.exec('ROLLBACK');
      this.#index.rollBack();
      for (const [id, usedAt] of this.#noted) if (!this.#usedAt.has(id)) this.#usedAt.set(id, usedAt);
      this.#noted.clear();
      this.#total();
      throw error;
    }
  }

  /** Reads the totals from the file. */
  #total(): void {
    const [count, chars, updatedAt] = this.#statements.total.get() as readonly [number, number, number];
    this.#count = count;
    this.#chars = chars;
    this.#updatedAt = Math.max(this.#updatedAt, updatedAt);
  }

  #add(conversation: { count: number; chars: number }, count: number, chars: number): void {
    conversation.count += count;
    conversation.chars += chars;
    this.#chars += chars;
  }

  /** Drops the oldest messages above a limit, up to the next user message. */
  #trim(conversation: { readonly id: number; count: number; chars: number }): void {
    const { maxMessages, conversationLimitChars } = this.#limits;
    const { first, drop, size } = this.#statements;
    const isOver = () => conversation.count > maxMessages || conversation.chars > conversationLimitChars;
    for (let cut = isOver(); cut; ) {
      const oldest = first.get(conversation.id) as readonly [number, number, string] | undefined;
      cut = oldest !== undefined && (isOver() || oldest[2] !== 'user');
      if (!oldest || !cut) break;
      drop.run(oldest[0]);
      this.#add(conversation, -1, -oldest[1]);
    }
    size.run(conversation.count, conversation.chars, conversation.id);
  }

  /** The row id of a conversation that has not expired. */
  #find(key: ConversationKey): number | undefined {
    const [id, isExpired] = this.#row(key);
    return isExpired ? undefined : id;
  }

  #removeIfExpired(key: ConversationKey): void {
    const [id, isExpired] = this.#row(key);
    if (id !== undefined && isExpired) this.#remove(id);
  }

  #row(key: ConversationKey): readonly [id?: number, isExpired?: boolean] {
    const [id, noted] = (this.#statements.find.get(...idsOf(key)) ?? []) as readonly [number?, number?];
    if (id === undefined || noted === undefined) return [];
    return [id, (this.#usedAt.get(id) ?? noted) <= this.#now() - this.#limits.timeToLiveMs];
  }

  /** Writes the times of reads. */
  #writeUsedAt(): void {
    for (const [id, usedAt] of this.#usedAt) {
      this.#statements.use.run(usedAt, id);
      this.#noted.set(id, usedAt);
    }
    this.#usedAt.clear();
  }

  #expire(): void {
    this.#writeUsedAt();
    const oldest = this.#now() - this.#limits.timeToLiveMs;
    this.#forget(([, usedAt]) => usedAt <= oldest);
  }

  #evict(): void {
    const { maxConversations, totalLimitChars } = this.#limits;
    this.#forget(() => this.#count > 1 && (this.#count > maxConversations || this.#chars > totalLimitChars));
  }

  /** Removes the least recently used conversations while `isOver`. */
  #forget(isOver: (oldest: readonly [number, number]) => boolean): void {
    for (let forgotten = 0; forgotten < maxForgottenAtOnce; forgotten++) {
      const oldest = this.#statements.oldest.get() as readonly [number, number] | undefined;
      if (!oldest || !isOver(oldest)) return;
      this.#remove(oldest[0]);
    }
  }

  #remove(id: number): void {
    const [chars] = this.#statements.remove.get(id) as readonly [number];
    this.#usedAt.delete(id);
    this.#count--;
    this.#chars -= chars;
  }
}

const writes: ReadonlySet<Method> = new Set(['append', 'replace', 'retract', 'rename', 'delete']);

function isWrite({ method }: Call): boolean {
  return writes.has(method);
}

function idsOf({ userId, conversationId }: ConversationKey): readonly [string, string] {
  return [JSON.stringify(userId), JSON.stringify(conversationId)];
}
