import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';

/** One open file. */
export type SqliteFile = InstanceType<typeof Database>;

/** What SQLite keeps in each file for whoever made it; `file` shows it as "wagl". */
const applicationId = 0x7761_676c;
const schemaVersion = 1;
// A server that is being replaced may still have the file.
const lockTimeoutMs = 1000;

// User ids, conversation ids and messages are JSON: SQLite ends a text at its first NUL and mends surrogates.
const schema = `
  CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    conversation TEXT NOT NULL,
    title TEXT NOT NULL,
    messages INTEGER NOT NULL,
    chars INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    used_at REAL NOT NULL,
    UNIQUE (user, conversation)
  );
  CREATE INDEX conversations_by_update ON conversations (user, updated_at);
  CREATE INDEX conversations_by_use ON conversations (used_at);
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    chars INTEGER NOT NULL,
    message TEXT NOT NULL
  );
  CREATE INDEX messages_by_conversation ON messages (conversation);
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/**
 * Opens the file of conversations, or makes it, and keeps every other process out of it. Throws what `wordingOf` can
 * word.
 */
export function openFile(path: string): SqliteFile {
  // SQLite would say no more than "error 14". Nobody else on this machine shall read what people said.
  mkdirSync(dirname(path), { recursive: true });
  closeSync(openSync(path, 'a', 0o600));
  const file = new Database(path, { timeout: lockTimeoutMs });
  try {
    // Before all else: with the lock for itself, SQLite needs no shared memory beside the file.
    file.exec('PRAGMA locking_mode = EXCLUSIVE');
    const isNew = checkOwner(file);
    // A commit is written, and not synced to the disk: it outlives the process, though perhaps not a power cut, after
    // which the file is whole and lacks the latest turns.
    file.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
    // What was deleted is overwritten, and not only left out.
    file.exec('PRAGMA secure_delete = ON');
    if (isNew) file.transaction(() => file.exec(schema)).immediate();
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Leaves the file to others, as one file without a log beside it. */
export function closeFile(file: SqliteFile): void {
  // Closing alone ends the lock when the last statement has been collected as garbage, whenever that is. The lock ends
  // with the first read after the mode that needs it.
  file.exec('PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL; SELECT count(*) FROM sqlite_schema');
  file.close();
}

/** What SQLite says, in words that tell what to do. */
export function wordingOf(error: unknown): string {
  const { code = '', message } = error as { readonly code?: string; readonly message: string };
  return wordings[code] ?? message;
}

const wordings: Readonly<Record<string, string>> = {
  SQLITE_BUSY: 'another Waggle has it open; stop that one, or choose another file',
  SQLITE_NOTADB: 'it is no database of Waggle; choose another file',
  SQLITE_CORRUPT: 'it is damaged; restore it from a backup, or choose another file',
  SQLITE_FULL: 'the disk is full',
};

/** Whether the file is new; throws when it is not ours. */
function checkOwner(file: SqliteFile): boolean {
  const number = (sql: string) => (file.prepare(sql).raw().get() as [number])[0];
  const owner = number('PRAGMA application_id');
  const version = number('PRAGMA user_version');
  if (owner === applicationId) {
    if (version <= schemaVersion) return false;
    throw new Error(
      `a newer Waggle has written it (schema ${version}, this one reads ${schemaVersion}); update Waggle, or choose another file`,
    );
  }
  if (owner === 0 && number('SELECT count(*) FROM sqlite_schema') === 0) return true;
  throw new Error('it is the database of another program; choose another file');
}
