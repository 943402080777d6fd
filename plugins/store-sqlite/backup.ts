import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import AsyncDatabase from 'libsql/promise';
import { WaggleError } from '#kernel';
import {
  checkOwner,
  closeFile,
  codeOf,
  lockTimeoutMs,
  openExisting,
  type SqliteFile,
  wordingOf,
} from './open-file.js';

const readerGoneMs = 300;
/** Errors of file systems without hard links. */
const noLinks = /^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK|EINVAL)$/;

/**
 * Copies a file of conversations, also while a server has it open. The copy appears at its place when it is complete, or not
 * at all. @throws BACKUP_FAILED
 */
export async function backUp(path: string, file: string): Promise<void> {
  const from = resolve(path);
  const to = resolve(file);
  try {
    expectFree(to);
    if (!isFile(from)) throw new Error('there is no such file; a server of this configuration makes it');
    await withTemporaryFile(to, async (part) => {
      closeSync(openSync(part, 'wx', 0o600));
      await copy(from, part);
      place(part, to);
    });
  } catch (error) {
    const details = { path: from, file: to, why: wordings[codeOf(error)] ?? wordingOf(error) };
    throw new WaggleError('BACKUP_FAILED', details, { cause: error });
  }
}

/** Runs `work` with a file in a temporary folder, which is removed afterwards or at the exit of the process. */
async function withTemporaryFile(to: string, work: (part: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(`${to}.part-`);
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  process.on('exit', remove);
  try {
    await work(join(folder, basename(to)));
  } finally {
    remove();
    process.off('exit', remove);
  }
}

const wordings: Readonly<Record<string, string>> = {
  ENOENT: 'the folder of the copy does not exist',
  ENOTDIR: 'the folder of the copy is a file',
  EACCES: 'this user may not write to the folder of the copy',
  EPERM: 'this user may not write to the folder of the copy',
  EROFS: 'the folder of the copy can only be read',
  ENOSPC: 'the disk of the copy is full',
  EEXIST: 'the copy is there already; choose another name',
  SQLITE_FULL: 'the disk of the copy is full',
};

/** Also checks for logs, because SQLite would apply the log of an earlier file to the copy. */
function expectFree(to: string): void {
  const taken = ['', '-wal', '-journal'].map((ending) => to + ending).find(existsSync);
  if (taken !== undefined) throw new Error(`"${taken}" is there already; choose another name`);
}

async function copy(from: string, part: string): Promise<void> {
  const source = openExisting(from);
  try {
    if (checkOwner(source) === 0) throw new Error('it holds nothing yet');
    enableWriteAheadLog(source);
    // Asynchronously, because this thread handles signals.
    const reader = new AsyncDatabase(from, { timeout: lockTimeoutMs });
    try {
      await reader.exec(`VACUUM INTO '${part.replaceAll("'", "''")}'`);
    } finally {
      reader.close();
      await endLog(source);
    }
  } finally {
    closeFile(source);
  }
}

/** Enables write-ahead logging, as a server does, so that the file can be written while it is read. */
function enableWriteAheadLog(source: SqliteFile): void {
  try {
    source.exec('PRAGMA journal_mode = WAL');
  } catch (error) {
    // The file can be read without it.
    if (!/^SQLITE_(BUSY|READONLY|CANTOPEN)/.test(codeOf(error))) throw error;
  }
}

/** Ends the log of a file that no server has open. Its reader takes a moment to be gone, and SQLite says "busy" until then. */
async function endLog(source: SqliteFile): Promise<void> {
  for (const until = performance.now() + readerGoneMs; performance.now() < until; await setTimeout(10))
    try {
      source.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE');
      return;
    } catch (error) {
      if (codeOf(error) !== 'SQLITE_BUSY') return;
    }
}

/** Gives the copy its final name, unless a file of that name has appeared meanwhile. */
function place(part: string, to: string): void {
  const written = openSync(part, 'r+');
  fsyncSync(written);
  closeSync(written);
  try {
    linkSync(part, to);
  } catch (error) {
    if (!noLinks.test(codeOf(error))) throw error;
    expectFree(to);
    renameSync(part, to);
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
