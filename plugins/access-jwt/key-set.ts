import type { JsonWebKey, KeyObject } from 'node:crypto';
import { publicKeyOf, type VerificationKey } from './verification-key.js';

const maxKeys = 100;
/** Between two downloads that tokens ask for: with an unknown key id, or while there are no keys at all. */
const unknownKeyPauseMs = 30_000;
const noKeysPauseMs = 2000;

/** The part of a token's header that names its key. */
export interface KeyName {
  readonly kid?: unknown;
  readonly alg: string;
}

interface NamedKey extends VerificationKey {
  readonly kid: string | undefined;
  /** Equal for equal keys. */
  readonly print: string;
}

interface Surroundings {
  download(): Promise<string>;
  /** Called with keys that are no longer part of the set. */
  gone(keys: ReadonlySet<KeyObject>): void;
  /** Called when downloads begin to fail, and with undefined when they work again. */
  trouble(error: unknown): void;
}

/** The issuer's keys as last downloaded. While its server is away they stay. */
export class KeySet {
  readonly #around: Surroundings;
  #keys: readonly NamedKey[] = [];
  #loading: Promise<void> | undefined;
  #lastAsked = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** The key of a token, at once where it is known. */
  find(name: KeyName): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    const found = this.#known(name);
    if (found) return found;
    // A kid that is known, with an algorithm that is not its own, is no reason to ask.
    if (this.#keys.some(({ kid }) => kid !== undefined && kid === name.kid)) return undefined;
    if (!this.#loading) {
      const pauseMs = this.#keys.length === 0 ? noKeysPauseMs : unknownKeyPauseMs;
      if (performance.now() - this.#lastAsked < pauseMs) return undefined;
      this.#lastAsked = performance.now();
    }
    return this.load().then(() => this.#known(name));
  }

  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  /** Replaces the set by that of the issuer. Never rejects. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    try {
      const keys = keysIn(await this.#around.download());
      const before = this.#keys;
      // Equal keys stay the same objects.
      this.#keys = keys.map((key) => before.find(({ print }) => print === key.print) ?? key);
      const gone = before.filter((key) => !this.#keys.includes(key)).map(({ key }) => key);
      if (gone.length > 0) this.#around.gone(new Set(gone));
      if (this.#isFailing) this.#around.trouble(undefined);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#around.trouble(error);
      this.#isFailing = true;
    }
  }

  #known({ kid, alg }: KeyName): VerificationKey | undefined {
    const suitable = this.#keys.filter(({ algorithms }) => algorithms.includes(alg));
    if (kid !== undefined) return suitable.find((key) => key.kid === kid);
    // Without a name there must be no choice.
    return suitable.length === 1 ? suitable[0] : undefined;
  }
}

/** The usable keys of a JWKS. @throws where there is none */
function keysIn(text: string): readonly NamedKey[] {
  const set: unknown = JSON.parse(text);
  const listed = (set as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(listed)) throw new Error('it is no set of keys');
  const keys: NamedKey[] = [];
  for (const each of listed.slice(0, maxKeys) as readonly (JsonWebKey &
    Readonly<Record<string, unknown>>)[]) {
    if (each?.use !== undefined && each.use !== 'sig') continue;
    const key = readable(each);
    if (key)
      keys.push({ ...key, kid: typeof each.kid === 'string' ? each.kid : undefined, print: printOf(each) });
  }
  if (keys.length === 0) throw new Error('it has no key that can be used');
  return keys;
}

function readable(jwk: JsonWebKey): VerificationKey | undefined {
  try {
    const key = publicKeyOf(jwk);
    return typeof key === 'string' ? undefined : key;
  } catch {
    return undefined;
  }
}

function printOf({ kid, alg, kty, crv, n, e, x, y }: JsonWebKey & Readonly<Record<string, unknown>>): string {
  return JSON.stringify([kid, alg, kty, crv, n, e, x, y]);
}
