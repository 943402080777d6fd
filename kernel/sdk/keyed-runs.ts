import { createHash } from 'node:crypto';
import { WaggleError } from '../errors.js';
import { IdMap } from './id-map.js';

/** A key chosen by a client, and a fingerprint of the request that it identifies. */
export interface RequestKey {
  readonly id: string;
  readonly fingerprint: string;
}

/**
 * Scopes a key to its owner. `request` holds everything that decides on the result, and nothing about its delivery
 * (positions, priority, time limits), which may differ when the request is repeated. Without an owner there is no key:
 * strangers share nothing.
 */
export function requestKey(
  owner: string | undefined,
  key: string | undefined,
  request: object,
): RequestKey | undefined {
  if (owner === undefined || key === undefined) return undefined;
  const fingerprint = hashOf(canonical(request));
  return { id: JSON.stringify([owner, key]), fingerprint };
}

/** A member of `KeyedRuns`. */
export interface KeyedRun {
  /** Its key, while it has one. Only `KeyedRuns` sets it. */
  keyId?: string | undefined;
}

/** Runs, each under the key of the request that started it. */
export class KeyedRuns<T extends KeyedRun> {
  readonly #runs = new IdMap<{ readonly run: T; readonly fingerprint: string }>();

  /** The run of the same request. */
  find(key: RequestKey | undefined): T | undefined {
    const known = key && this.#runs.get(key.id);
    return known?.fingerprint === key?.fingerprint ? known?.run : undefined;
  }

  /** Claims the key for a new run. @throws IDEMPOTENCY_MISMATCH when another request has it */
  claim(key: RequestKey | undefined): void {
    if (key && this.#runs.get(key.id)) throw new WaggleError('IDEMPOTENCY_MISMATCH', {});
  }

  keep(key: RequestKey | undefined, run: T): void {
    if (!key) return;
    this.#runs.set(key.id, { run, fingerprint: key.fingerprint });
    run.keyId = key.id;
  }

  /** Frees the key of a run: the next request with it starts another. */
  drop(run: T): void {
    const { keyId } = run;
    if (keyId === undefined) return;
    run.keyId = undefined;
    this.#runs.delete(keyId);
  }
}

/** Of a text that is hashed by itself: a picture would be copied into the text of the whole. */
const longChars = 16 * 1024;

/** JSON with sorted keys, so that equal content gives equal text. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'string' && part.length > longChars) return ['long text', part.length, hashOf(part)];
    if (part instanceof Map || part instanceof Set) return [part.constructor.name, ...part];
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
