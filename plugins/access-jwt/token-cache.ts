import { createHash } from 'node:crypto';
import type { Principal } from '#kernel';

const maxTokens = 10_000;

/** Users of tokens that were verified, by the digests of the tokens. The least recently used one goes first. */
export class TokenCache {
  readonly #users = new Map<string, Principal>();

  find(digest: string): Principal | undefined {
    const user = this.#users.get(digest);
    if (!user) return undefined;
    this.#users.delete(digest);
    if ((user.expiresAt as number) <= Date.now()) return undefined;
    this.#users.set(digest, user);
    return user;
  }

  keep(digest: string, user: Principal): void {
    this.#users.delete(digest);
    this.#users.set(digest, user);
    if (this.#users.size <= maxTokens) return;
    const [oldest] = this.#users.keys();
    this.#users.delete(oldest as string);
  }

  /** Forgets users. */
  drop(isGone: (user: Principal) => boolean): void {
    for (const [digest, user] of this.#users) if (isGone(user)) this.#users.delete(digest);
  }
}

/** The key of the cache, which does not hold the token itself. */
export function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
