import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { messageOf, WaggleError } from '#kernel';
import { type KeyEntry, keyList } from './config.js';

const sizeLimitBytes = 16 * 1024 * 1024;

/** Keys in the config, for the check that a file does not repeat them. */
export type OwnKeys = readonly Pick<KeyEntry, 'user' | 'sha256'>[];

/** A file with a list of keys. Editors replace it, Kubernetes swaps a link, and network disks announce nothing: it is looked at. */
export class KeyFile {
  readonly path: string;
  readonly #own: ReadonlyMap<string, string>;
  #seen = '';

  constructor(path: string, own: OwnKeys) {
    this.path = path;
    this.#own = new Map(own.map(({ user, sha256 }) => [sha256.toLowerCase(), user]));
  }

  /** The keys, where the file is not as it was at the last call; else undefined. @throws KEYS_UNUSABLE */
  async changed(): Promise<readonly KeyEntry[] | undefined> {
    const file = resolve(this.path);
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      const seen = [ino, size, mtimeNs, ctimeNs].join();
      if (seen === this.#seen) return undefined;
      if (size > sizeLimitBytes) throw new Error(`it is larger than ${sizeLimitBytes} bytes`);
      const entries = this.#entriesIn(await readFile(file, 'utf8'));
      // Afterwards: a broken file is tried until it is good.
      this.#seen = seen;
      return entries;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const why = code === 'ENOENT' ? 'no such file' : messageOf(error);
      throw new WaggleError('KEYS_UNUSABLE', { path: this.path, why });
    }
  }

  #entriesIn(text: string): readonly KeyEntry[] {
    // Without the lines of the file in its errors, which may show a key.
    const checked = keyList.safeParse(parse(text, { prettyErrors: false }) ?? []);
    if (!checked.success) {
      const [issue] = checked.error.issues;
      throw new Error(`${placeOf(issue?.path ?? [])}${issue?.message}`);
    }
    checked.data.forEach(({ user, sha256 }, index) => {
      const other = this.#own.get(sha256.toLowerCase());
      if (other !== undefined)
        throw new Error(
          `${placeOf([index])}the key of user "${user}" is in the config as well, for user "${other}"`,
        );
    });
    return checked.data;
  }
}

function placeOf([index, ...path]: readonly PropertyKey[]): string {
  return index === undefined ? '' : `entry ${[Number(index) + 1, ...path.map(String)].join('.')}: `;
}
