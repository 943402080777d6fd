import { createHash, timingSafeEqual } from 'node:crypto';
import type { Principal } from '#kernel';
import type { KeyEntry } from './config.js';

interface Key {
  readonly digest: Buffer;
  readonly principal: Principal;
  /** Equal for entries that give the same rights. */
  readonly rights: string;
}

/** The keys that are accepted at the moment. */
export class Keys {
  #byDigest = new Map<string, Key>();

  get size(): number {
    return this.#byDigest.size;
  }

  /** The user of a key; undefined for an unknown one. */
  find(token: string): Principal | undefined {
    const digest = createHash('sha256').update(token).digest();
    const key = this.#byDigest.get(digest.toString('hex'));
    // The digest of a guess says nothing about the key; the comparison leaves nothing to the map.
    return key && timingSafeEqual(key.digest, digest) ? key.principal : undefined;
  }

  /** Replaces all keys. Returns the users whose entries are gone or have changed; the others stay the same objects. */
  replace(entries: readonly KeyEntry[]): ReadonlySet<Principal> {
    const before = this.#byDigest;
    this.#byDigest = new Map();
    for (const entry of entries) {
      const hex = entry.sha256.toLowerCase();
      const earlier = before.get(hex);
      const rights = JSON.stringify([entry.user, entry.scopes, Object.entries(entry.limits ?? {}).sort()]);
      this.#byDigest.set(hex, earlier?.rights === rights ? earlier : keyOf(entry, hex, rights));
    }
    const gone = [...before].filter(([hex, key]) => this.#byDigest.get(hex) !== key);
    return new Set(gone.map(([, { principal }]) => principal));
  }
}

function keyOf({ user, scopes, limits }: KeyEntry, hex: string, rights: string): Key {
  const principal = { id: user, scopes, ...(limits && { limits }), keyId: hex.slice(0, 8) };
  return { digest: Buffer.from(hex, 'hex'), principal, rights };
}
