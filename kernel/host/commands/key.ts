import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { userIdLimitChars } from '../../contracts/access.js';
import { messageOf } from '../../errors.js';
import { exitCodes } from '../stop-signals.js';

/** `waggle key new`: prints a new key, this once, and its entry for access-keys. */
export function newKey(user: string, { file }: { readonly file?: string }): void {
  if (user === '' || user.length > userIdLimitChars) {
    fail(exitCodes.badConfig, `the name of a user has 1 to ${userIdLimitChars} characters`);
    return;
  }
  const key = `wk_${randomBytes(32).toString('base64url')}`;
  const sha256 = createHash('sha256').update(key).digest('hex');
  const entry = `- { user: ${JSON.stringify(user)}, sha256: "${sha256}" }`;
  try {
    if (file !== undefined) append(file, entry);
  } catch (error) {
    fail(exitCodes.failed, `waggle: nothing was added to "${file}": ${messageOf(error)}`);
    return;
  }
  const where =
    file === undefined
      ? `Its entry for "keys" of access-keys, or for the file that it names:\n\n${entry}`
      : `Its entry was added to ${file}.`;
  process.stdout.write(`The key of ${user}, which is shown only now:\n\n${key}\n\n${where}\n`);
}

/** Appends an entry to a list in YAML. A new file may be read by its owner only. */
function append(file: string, entry: string): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const added = `${text === '' || text.endsWith('\n') ? '' : '\n'}${entry}\n`;
  const before: unknown = parse(text) ?? [];
  const after: unknown = Array.isArray(before) ? parse(text + added) : undefined;
  if (!Array.isArray(before) || !Array.isArray(after) || after.length !== before.length + 1)
    throw new Error('it is not a list with one "- " per key');
  appendFileSync(file, added, { mode: 0o600 });
}

function fail(code: number, why: string): void {
  process.stderr.write(`${why}\n`);
  process.exitCode = code;
}
