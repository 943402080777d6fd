import type { SqliteFile } from './open-file.js';

interface Statement {
  get(...values: readonly unknown[]): unknown;
  all(...values: readonly unknown[]): unknown;
  run(...values: readonly unknown[]): unknown;
}

type StatementName =
  | 'total'
  | 'find'
  | 'upsert'
  | 'sizeOf'
  | 'recent'
  | 'size'
  | 'use'
  | 'oldest'
  | 'remove'
  | 'list'
  | 'insert'
  | 'latest'
  | 'first'
  | 'drop';

/** Prepares every statement. */
export function prepareStatements(file: SqliteFile): Readonly<Record<StatementName, Statement>> {
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
    first: rows(
      "SELECT id, chars, message ->> 'role' FROM messages WHERE conversation = ? ORDER BY id LIMIT 1",
    ),
    drop: file.prepare('DELETE FROM messages WHERE id = ?'),
  };
}
