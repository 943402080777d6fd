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
import { migrateToSearch, searchSchema } from './search-schema.js';

export type SqliteFile = InstanceType<typeof Database>;

/** SQLite's application id; `file` shows it as "wagl". */
const applicationId = 0x7761_676c;
const schemaVersion = 2;
/** Long enough for a server that is being replaced to release the file. */
export const lockTimeoutMs = 1000;

// User ids, conversation ids and messages are JSON, because SQLite ends a text at its first NUL and replaces lone surrogates.
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
  ${searchSchema}
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/** From schema 1, in one short transaction whatever the size of the file: what is stored becomes searchable afterwards. */
const migration = `${migrateToSearch} PRAGMA user_version = ${schemaVersion};`;

/** Suffixes of the files that together make up an open file. */
export const fileEndings = ['', '-wal', '-shm', '-lock'] as const;

/** The real path of a file, which is created if missing, with its folders. */
export function ensureFile(path: string): string {
  // SQLite would only report "error 14", and create a file that other users can read.
  mkdirSync(dirname(path), { recursive: true });
  createFile(path);
  return realpathSync(path);
}

/** Opens a file of conversations, creating the tables in a new one and those that an older Waggle did not have. Throws errors for `wordingOf`. */
export function openFile(path: string): SqliteFile {
  const file = openExisting(path);
  try {
    const version = checkOwner(file);
    // A commit is written but not synced: it survives the process, though perhaps not a power failure, after which the
    // file is intact but may lack the latest turns.
    file.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
    // Overwrite deleted data.
    file.exec('PRAGMA secure_delete = ON');
    if (version < schemaVersion)
      file.transaction(() => file.exec(version === 0 ? schema : migration)).immediate();
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

export function openExisting(path: string): SqliteFile {
  return new Database(path, { timeout: lockTimeoutMs });
}

/** Closes the file without a log beside it, unless another program is reading it. */
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
 * Locks a file against other servers, but not against programs that only read it, such as a backup. The lock file is never
 * removed, which would let two servers in. The lock ends with the process, or with a call of the returned function.
 */
export function lockFile(path: string): () => void {
  createFile(`${path}-lock`);
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

/** Creates a file that only its owner may read. An existing one is not opened, because closing it would end its locks. */
function createFile(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  else if (statSync(path).isDirectory()) throw new Error('EISDIR: it is a folder');
  else accessSync(path, constants.R_OK | constants.W_OK);
}

/** An error of SQLite in words, with a remedy. */
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

/** The version of its schema, 0 for a new file; throws when it belongs to another program. */
export function checkOwner(file: SqliteFile): number {
  const number = (sql: string) => (file.prepare(sql).raw().get() as [number])[0];
  const owner = number('PRAGMA application_id');
  const version = number('PRAGMA user_version');
  if (owner === applicationId) {
    if (version > 0 && version <= schemaVersion) return version;
    throw new Error(
      `a newer Waggle has written it (schema ${version}, this one reads ${schemaVersion}); update Waggle, or choose another file`,
    );
  }
  if (owner === 0 && number('SELECT count(*) FROM sqlite_schema') === 0) return 0;
  throw new Error('it is the database of another program; choose another file');
}
