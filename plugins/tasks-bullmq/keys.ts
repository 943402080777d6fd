import { setTimeout as sleep } from 'node:timers/promises';
import { type DeadLetter, WaggleError } from '#kernel';
import type { RequestKey } from '#sdk';
import { hashOf, type RedisLink } from '#sdk/redis';
import { replaceKey } from './scripts.js';

/** Time for which a key stays with a run that has not ended. */
const claimMs = 7 * 24 * 3_600_000;
/** Time for the node that has claimed a key to add its job. */
const addMs = 2000;
const lookMs = 50;

/** Result of a look for the run that has a key. */
export type Found<T> = T | 'expired' | undefined;

/** Idempotency keys and dead letters of all nodes. */
export class SharedKeys {
  readonly #link: RedisLink;
  readonly #prefix: string;

  constructor(link: RedisLink, prefix: string) {
    this.#link = link;
    this.#prefix = prefix;
  }

  nameOf({ id }: RequestKey): string {
    return `${this.#prefix}:key:${hashOf(id)}`;
  }

  /**
   * Claims a key for a run, or returns the run that has it. `find` looks for that: undefined where its job is not there (yet).
   * @throws IDEMPOTENCY_MISMATCH
   */
  async claim<T>(
    key: RequestKey,
    taskId: string,
    find: (taskId: string) => Promise<Found<T>>,
  ): Promise<T | undefined> {
    const name = this.nameOf(key);
    const own = JSON.stringify([key.fingerprint, taskId]);
    for (let left = addMs / lookMs; ; left--) {
      if ((await this.#link.send('SET', name, own, 'PX', String(claimMs), 'NX')) !== null) return undefined;
      const claimed = await this.#link.send('GET', name);
      if (typeof claimed !== 'string') continue;
      const [fingerprint, other] = JSON.parse(claimed) as [string, string];
      const found = await find(other);
      if (found !== 'expired' && (found !== undefined || left > 0)) {
        if (fingerprint !== key.fingerprint) throw new WaggleError('IDEMPOTENCY_MISMATCH', {});
        if (found !== undefined) return found;
        await sleep(lookMs);
        continue;
      }
      // The node that had it is gone, or its run is.
      const replaced = await this.#link.run(replaceKey, [name], [claimed, own, String(claimMs)]);
      if (replaced === 1) return undefined;
    }
  }

  /** Keeps the key of a run that has ended for a while; that of one that has failed is free again. */
  async release(name: string, hasFailed: boolean, keepMs: number): Promise<void> {
    if (hasFailed) await this.#link.send('DEL', name);
    else await this.#link.send('PEXPIRE', name, String(keepMs));
  }

  async bury(letter: DeadLetter, max: number): Promise<void> {
    const list = `${this.#prefix}:dead`;
    await Promise.all([
      this.#link.send('RPUSH', list, JSON.stringify(letter)),
      this.#link.send('LTRIM', list, ...(max > 0 ? [String(-max), '-1'] : ['1', '0'])),
    ]);
  }

  async deadLetters(): Promise<readonly DeadLetter[]> {
    const list = (await this.#link.send('LRANGE', `${this.#prefix}:dead`, '0', '-1')) as readonly string[];
    return list.map((text) => JSON.parse(text) as DeadLetter);
  }
}
