import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';

/** One open file. */
export type SqliteFile = InstanceType<typeof Database>;

/** What SQLite keeps in each file for its owner; `file` shows it as "wagl". */
const applicationId = 0x7761_676c;
const schemaVersion = 1;
/** A server that is being replaced may still have the file. */
export const lockTimeoutMs = 1000;

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

/** How the names of the files end that belong to an open one: all four are one thing. */
export const fileEndings = ['', '-wal', '-shm', '-lock'] as const;

/** The one path of a file, which is made if it is not there, with the folders above it. */
export function madeFile(path: string): string {
  // SQLite would say no more than "error 14". Nobody else on this machine shall read what people said.
  mkdirSync(dirname(path), { recursive: true });
  makeFile(path);
  return realpathSync(path);
}

/** Opens the file of conversations. Throws what `wordingOf` can word. */
export function openFile(path: string): SqliteFile {
  const file = openExisting(path);
  try {
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

/** Opens a file that is there. */
export function openExisting(path: string): SqliteFile {
  return new Database(path, { timeout: lockTimeoutMs });
}

/** Leaves the file to others: as one file without a log beside it, unless one of them is reading it. */
export function closeFile(file: SqliteFile): void {
  try {
    file.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE');
  } catch (error) {
    if (codeOf(error) !== 'SQLITE_BUSY') throw error;
  } finally {
    file.close();
  }
}

/**
 * Keeps every other server out of a file, while programs that only read it, such as a backup, may. The lock is in a file
 * of its own, which stays: removing it would let two in at once. Ends with the process, or when it is called.
 */
export function lockFile(path: string): () => void {
  makeFile(`${path}-lock`);
  const lock = openExisting(`${path}-lock`);
  try {
    lock.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (codeOf(error) !== 'SQLITE_BUSY') throw error;
    throw new Error('another Waggle has it open; stop that one, or choose another file');
  }
  return () => {
    lock.exec('ROLLBACK');
    lock.close();
  };
}

/** Makes a file that only its owner may read, unless it is there: closing one that is open would end its locks. */
function makeFile(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  else if (statSync(path).isDirectory()) throw new Error('EISDIR: it is a folder');
  else accessSync(path, constants.R_OK | constants.W_OK);
}

/** What SQLite says, in words that tell what to do. */
export function wordingOf(error: unknown): string {
  const code = codeOf(error);
  return wordings[code] ?? wordings[code.split('_', 2).join('_')] ?? (error as Error).message;
}

const wordings: Readonly<Record<string, string>> = {
  SQLITE_BUSY: 'another program has it locked; close it there, or choose another file',
  SQLITE_NOTADB: 'it is no database of Waggle; choose another file',
  SQLITE_CORRUPT: 'it is damaged; restore it from a backup, or choose another file',
  SQLITE_FULL: 'the disk is full',
  SQLITE_CANTOPEN: 'it cannot be opened; its folder is gone or locked, or no file descriptor is left',
  SQLITE_IOERR: 'the disk takes or gives nothing (an I/O error, or a limit to the size of files)',
  SQLITE_READONLY:
    'it can only be read; its owner, its mode or that of its folder does not let this user write',
};

/** The code of an error of SQLite or of the file system. */
export function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | undefined)?.code ?? '');
}

/** Whether the file is new; throws when it is not ours. */
export function checkOwner(file: SqliteFile): boolean {
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
