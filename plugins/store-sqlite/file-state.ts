import { statSync } from 'node:fs';
import { codeOf, fileEndings, lockTimeoutMs, type SqliteFile, wordingOf } from './open-file.js';

/** Errors of the file or its disk, as opposed to those of one call. */
const lasting = /^SQLITE_(BUSY|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM)/;
/** Errors that last, whatever succeeds later. */
const damaged = /^SQLITE_(CORRUPT|NOTADB)/;

/** Writes 1 MB, enough for any turn, and drops it in the same transaction. */
const probe = `
  BEGIN IMMEDIATE;
  CREATE TABLE room AS SELECT zeroblob(1048576) AS bytes;
  DROP TABLE room;
  COMMIT;
`;

/** Detects that an open file was moved or deleted, or that its disk is full. */
export class FileState {
  readonly #file: SqliteFile;
  readonly #path: string;
  readonly #identities: readonly string[];
  #failure: { readonly code: string; readonly why: string } | undefined;

  constructor(file: SqliteFile, path: string) {
    this.#file = file;
    this.#path = path;
    this.#identities = this.#identitiesNow();
  }

  /** Why nothing can be stored; undefined while all is well. */
  get trouble(): string | undefined {
    return this.gone ?? this.#failure?.why;
  }

  /** Message where the file is no longer at its path: data written to a deleted file is lost. */
  get gone(): string | undefined {
    const at = this.#identitiesNow().findIndex((identity, index) => identity !== this.#identities[index]);
    if (at === -1) return undefined;
    const which = at === 0 ? 'the file' : `the file beside it whose name ends in ${fileEndings[at]}`;
    return `${which} was deleted, moved or replaced while it was open; put it back, or restart the server`;
  }

  /** Records an error. */
  failed(error: unknown): void {
    const code = codeOf(error);
    if (lasting.test(code) && !damaged.test(this.#failure?.code ?? ''))
      this.#failure = { code, why: wordingOf(error) };
  }

  /** Checks with a test write whether a failure is over. */
  check(): void {
    if (!this.#failure || damaged.test(this.#failure.code) || this.gone) return;
    try {
      this.withoutWaiting(() => this.#file.exec(probe));
      this.#failure = undefined;
    } catch (error) {
      if (this.#file.inTransaction) this.#file.exec('ROLLBACK');
      this.failed(error);
    }
  }

  /** Runs `work` so that it fails at once on another program's lock. */
  withoutWaiting<T>(work: () => T): T {
    this.#file.exec('PRAGMA busy_timeout = 0');
    try {
      return work();
    } finally {
      this.#file.exec(`PRAGMA busy_timeout = ${lockTimeoutMs}`);
    }
  }

  #identitiesNow(): readonly string[] {
    return fileEndings.map((ending) => {
      try {
        const { dev, ino } = statSync(this.#path + ending);
        return `${dev}:${ino}`;
      } catch (error) {
        return codeOf(error);
      }
    });
  }
}
