import type { ChatMessage, ConversationKey, ConversationSummary, ListOptions } from '#kernel';
import { closeFile, openFile, type SqliteFile, wordingOf } from './open-file.js';

/** What a file may hold; units as in the plugin's config. */
export interface Limits {
  readonly maxMessages: number;
  readonly conversationLimitChars: number;
  readonly maxConversations: number;
  readonly totalLimitChars: number;
  readonly timeToLiveMs: number;
}

/** A turn, and what its conversation is called if it is the first one. */
export interface Turn {
  readonly key: ConversationKey;
  readonly title: string;
  readonly messages: readonly ChatMessage[];
}

/** What can be asked of a file. */
export type Method = 'append' | 'retract' | 'read' | 'delete' | 'list';
/** One question to a file. */
export type Call = {
  readonly [M in Method]: { readonly method: M; readonly args: Parameters<ConversationFile[M]> };
}[Method];
/** What came of it: a value, or what went wrong in words. */
export type Outcome = { readonly value: unknown } | { readonly why: string };

/** After an append a few conversations are over a limit, and after years of absence all of them. */
const maxForgottenAtOnce = 100;
const maxNoted = 1000;
/** How far back a turn is looked for that is to be taken back. */
const maxSince = 100;

/** Conversations in one SQLite file, asked with `run`. Everything in here waits for the disk. */
export class ConversationFile {
  readonly #file: SqliteFile;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #statements: ReturnType<typeof prepared>;
  /** When conversations were read; noted in the file with the next write, so that a read writes nothing. */
  readonly #usedAt = new Map<number, number>();
  /** What of that the transaction of this moment has written. */
  readonly #noted = new Map<number, number>();
  #count = 0;
  #chars = 0;
  #updatedAt = 0;

  /**
   * Opens or makes the file. `now` is in milliseconds since 1970, with fractions that tell apart what happens in one.
   * Throws what `wordingOf` can word.
   */
  constructor(
    path: string,
    limits: Limits,
    now: () => number = () => performance.timeOrigin + performance.now(),
  ) {
    this.#file = openFile(path);
    this.#limits = limits;
    this.#now = now;
    this.#statements = prepared(this.#file);
    this.#total();
  }

  /** Runs calls in their order as one transaction; when that fails, each by itself, so that each fails for its own reason. */
  run(calls: readonly Call[]): readonly Outcome[] {
    try {
      return this.#transaction(() => calls.map((call) => ({ value: this.#answer(call) })));
    } catch (error) {
      if (calls.length > 1) return calls.flatMap((call) => this.run([call]));
      return [{ why: wordingOf(error) }];
    }
  }

  /** Adds a turn, and forgets what is over a limit then. */
  append({ key, title, messages }: Turn): void {
    const { upsert, insert } = this.#statements;
    this.#expire();
    this.#find(key);
    const now = this.#now();
    this.#updatedAt = Math.max(Math.floor(now), this.#updatedAt + 1);
    const row = upsert.get(...idsOf(key), title, this.#updatedAt, now) as readonly [number, number, number];
    const [id, count, chars] = row;
    this.#usedAt.delete(id); // Of a conversation whose beginning was undone.
    if (count === 0) this.#count++;
    const conversation = { id, count, chars };
    for (const message of messages) {
      insert.run(id, message.content.length, JSON.stringify(message));
      this.#add(conversation, 1, message.content.length);
    }
    this.#trim(conversation);
    this.#evict();
  }

  /** Takes a turn back that is among the latest. */
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
    if (this.#usedAt.size > maxNoted) this.#note();
    const rows = this.#statements.latest.all(id, Number.isFinite(limit) ? limit : -1) as readonly [string][];
    return rows.map(([message]) => message).reverse();
  }

  /** Whether there was such a conversation. */
  delete(key: ConversationKey): boolean {
    const id = this.#find(key);
    if (id !== undefined) this.#remove(id);
    return id !== undefined;
  }

  /** The user's conversations, the latest first. */
  list(userId: string, { limit, before }: ListOptions): readonly ConversationSummary[] {
    this.#expire();
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

  close(): void {
    this.#transaction(() => this.#note());
    closeFile(this.#file);
  }

  #answer(call: Call): unknown {
    switch (call.method) {
      case 'append':
        return this.append(...call.args);
      case 'retract':
        return this.retract(...call.args);
      case 'read':
        return this.read(...call.args);
      case 'delete':
        return this.delete(...call.args);
      case 'list':
        return this.list(...call.args);
    }
  }

  #transaction<T>(work: () => T): T {
    this.#file.exec('BEGIN');
    try {
      const result = work();
      this.#file.exec('COMMIT');
      this.#noted.clear();
      return result;
    } catch (error) {
      // Some errors, such as a full disk, have ended it already.
      if (this.#file.inTransaction) this.#file.exec('ROLLBACK');
      for (const [id, usedAt] of this.#noted) if (!this.#usedAt.has(id)) this.#usedAt.set(id, usedAt);
      this.#noted.clear();
      this.#total();
      throw error;
    }
  }

  /** Counts what is in the file. */
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

  #trim(conversation: { readonly id: number; count: number; chars: number }): void {
    const { maxMessages, conversationLimitChars } = this.#limits;
    const { first, drop, size } = this.#statements;
    while (conversation.count > maxMessages || conversation.chars > conversationLimitChars) {
      const [message, chars] = first.get(conversation.id) as readonly [number, number];
      drop.run(message);
      this.#add(conversation, -1, -chars);
    }
    size.run(conversation.count, conversation.chars, conversation.id);
  }

  /** The row of a conversation, unless its time is over. */
  #find(key: ConversationKey): number | undefined {
    const [id, noted] = (this.#statements.find.get(...idsOf(key)) ?? []) as readonly [number?, number?];
    if (id === undefined || noted === undefined) return undefined;
    const usedAt = this.#usedAt.get(id) ?? noted;
    if (usedAt > this.#now() - this.#limits.timeToLiveMs) return id;
    this.#remove(id);
    return undefined;
  }

  /** Writes down when conversations were read. */
  #note(): void {
    for (const [id, usedAt] of this.#usedAt) {
      this.#statements.use.run(usedAt, id);
      this.#noted.set(id, usedAt);
    }
    this.#usedAt.clear();
  }

  #expire(): void {
    this.#note();
    const oldest = this.#now() - this.#limits.timeToLiveMs;
    this.#forget(([, usedAt]) => usedAt <= oldest);
  }

  #evict(): void {
    const { maxConversations, totalLimitChars } = this.#limits;
    this.#forget(() => this.#count > 1 && (this.#count > maxConversations || this.#chars > totalLimitChars));
  }

  /** Forgets those that were used least recently, while that is called for. */
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

function idsOf({ userId, conversationId }: ConversationKey): readonly [string, string] {
  return [JSON.stringify(userId), JSON.stringify(conversationId)];
}

function prepared(file: SqliteFile) {
  const rows = (sql: string) => file.prepare(sql).raw();
  return {
    total: rows('SELECT count(*), coalesce(sum(chars), 0), coalesce(max(updated_at), 0) FROM conversations'),
    find: rows('SELECT id, used_at FROM conversations WHERE user = ? AND conversation = ?'),
    upsert: rows(`
      INSERT INTO conversations (user, conversation, title, messages, chars, updated_at, used_at)
      VALUES (?, ?, ?, 0, 0, ?, ?)
      ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at, used_at = excluded.used_at,
        title = CASE title WHEN '' THEN excluded.title ELSE title END
      RETURNING id, messages, chars`),
    sizeOf: rows('SELECT messages, chars FROM conversations WHERE id = ?'),
    recent: rows('SELECT id, chars, message FROM messages WHERE conversation = ? ORDER BY id DESC LIMIT ?'),
    size: file.prepare('UPDATE conversations SET messages = ?, chars = ? WHERE id = ?'),
    use: file.prepare('UPDATE conversations SET used_at = ? WHERE id = ?'),
    oldest: rows('SELECT id, used_at FROM conversations ORDER BY used_at LIMIT 1'),
    remove: rows('DELETE FROM conversations WHERE id = ? RETURNING chars'),
    list: rows(`
      SELECT conversation, title, messages, updated_at FROM conversations
      WHERE user = ? AND updated_at < ? AND used_at > ? ORDER BY updated_at DESC LIMIT ?`),
    insert: file.prepare('INSERT INTO messages (conversation, chars, message) VALUES (?, ?, ?)'),
    latest: rows('SELECT message FROM messages WHERE conversation = ? ORDER BY id DESC LIMIT ?'),
    first: rows('SELECT id, chars FROM messages WHERE conversation = ? ORDER BY id LIMIT 1'),
    drop: file.prepare('DELETE FROM messages WHERE id = ?'),
  };
}
