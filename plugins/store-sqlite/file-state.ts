import { statSync } from 'node:fs';
import { codeOf, fileEndings, lockTimeoutMs, type SqliteFile, wordingOf } from './open-file.js';

/** Errors that say something of the file or its disk, and not of one question to it. */
const lasting = /^SQLITE_(BUSY|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM)/;
/** Those that no later success takes back. */
const damaged = /^SQLITE_(CORRUPT|NOTADB)/;

/** Room for any turn. Two statements in one transaction write that many zeros, and leave nothing. */
const probe = `
  BEGIN IMMEDIATE;
  CREATE TABLE room AS SELECT zeroblob(1048576) AS bytes;
  DROP TABLE room;
  COMMIT;
`;

/** Whether an open file is still the one at its path, and whether its disk takes more. */
export class FileState {
  readonly #file: SqliteFile;
  readonly #path: string;
  readonly #identities: readonly string[];
  #failure: { readonly code: string; readonly why: string } | undefined;

  constructor(file: SqliteFile, path: string) {
    this.#file = file;
    this.#path = path;
    this.#identities = this.#look();
  }

  /** Why nothing can be kept, as far as is known. */
  get trouble(): string | undefined {
    return this.gone ?? this.#failure?.why;
  }

  /** What became of the file: what is written to one that was deleted is lost. */
  get gone(): string | undefined {
    const at = this.#look().findIndex((identity, index) => identity !== this.#identities[index]);
    if (at === -1) return undefined;
    const which = at === 0 ? 'the file' : `the file beside it whose name ends in ${fileEndings[at]}`;
    return `${which} was deleted, moved or replaced while it was open; put it back, or restart the server`;
  }

  /** Takes note of an error. */
  failed(error: unknown): void {
    const code = codeOf(error);
    if (lasting.test(code) && !damaged.test(this.#failure?.code ?? ''))
      this.#failure = { code, why: wordingOf(error) };
  }

  /** Tries whether a failure is over. */
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

  /** Fails at once where another program has the file locked. */
  withoutWaiting<T>(work: () => T): T {
    this.#file.exec('PRAGMA busy_timeout = 0');
    try {
      return work();
    } finally {
      this.#file.exec(`PRAGMA busy_timeout = ${lockTimeoutMs}`);
    }
  }

  #look(): readonly string[] {
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
