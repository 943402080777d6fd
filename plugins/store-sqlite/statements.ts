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
  | 'since'
  | 'recent'
  | 'size'
  | 'use'
  | 'oldest'
  | 'remove'
  | 'list'
  | 'insert'
  | 'latest'
  | 'first'
  | 'drop'
  | 'page'
  | 'rename'
  | 'addWords'
  | 'index'
  | 'hasMessage'
  | 'hasWords'
  | 'removeWords'
  | 'removed'
  | 'searchMessages'
  | 'searchTitles'
  | 'backlog'
  | 'unindexed'
  | 'shrinkBacklog'
  | 'endBacklog';

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
    since: rows('SELECT id, chars FROM messages WHERE conversation = ? AND id >= ?'),
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
    page: rows('SELECT id, message FROM messages WHERE conversation = ? AND id < ? ORDER BY id DESC LIMIT ?'),
    rename: file.prepare('UPDATE conversations SET title = ?, used_at = ? WHERE id = ?'),
    addWords: file.prepare('INSERT INTO words (id, owner, words) VALUES (?, ?, ?)'),
    index: file.prepare('INSERT INTO search (rowid, words) VALUES (?, ?)'),
    hasMessage: rows('SELECT 1 FROM messages WHERE id = ?'),
    hasWords: rows('SELECT 1 FROM words WHERE id = ?'),
    removeWords: file.prepare('DELETE FROM words WHERE id = ?'),
    removed: rows('SELECT id FROM removed LIMIT ?'),
    searchMessages: rows(`
      SELECT m.id, c.conversation, c.title, m.message
      FROM search s JOIN messages m ON m.id = s.rowid JOIN conversations c ON c.id = m.conversation
      WHERE s.search MATCH ? AND s.rowid NOT IN removed AND s.rowid > 0 AND s.rowid < ? AND c.user = ? AND c.used_at > ?
      ORDER BY s.rowid DESC LIMIT ?`),
    searchTitles: rows(`
      SELECT s.rowid, c.conversation, c.title
      FROM search s JOIN conversations c ON c.id = -s.rowid
      WHERE s.search MATCH ? AND s.rowid NOT IN removed AND s.rowid < ? AND c.user = ? AND c.used_at > ?
      ORDER BY s.rowid DESC LIMIT ?`),
    backlog: rows('SELECT last FROM backlog'),
    unindexed: rows(`
      SELECT m.id, c.user, m.message FROM messages m JOIN conversations c ON c.id = m.conversation
      WHERE m.id <= ? ORDER BY m.id DESC LIMIT ?`),
    shrinkBacklog: file.prepare('UPDATE backlog SET last = ?'),
    endBacklog: file.prepare('DELETE FROM backlog'),
  };
}
