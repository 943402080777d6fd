import {
  type Access,
  type Authenticator,
  type Credentials,
  type Principal,
  toClientError,
  type Undo,
} from '#kernel';
import { ExpiringSet, randomId } from '#sdk';
import { sessionValues } from './session-cookie.js';
import type { Session, SessionSeal } from './session-seal.js';

/** The longest time that a session lasts. */
const sessionMs = 12 * 60 * 60 * 1000;
/** Beyond them the oldest sign-out is forgotten. */
const maxSignedOut = 10_000;

/** A session that has just begun. */
export interface SignedIn {
  readonly principal: Principal;
  /** For the cookie. */
  readonly value: string;
  readonly expiresAt: number;
}

/**
 * Signs browsers in and out. The cookie contains the key or token itself, sealed: each request is judged by the authenticator
 * of that token, so that a revoked key ends its sessions, too.
 */
export class Sessions implements Authenticator {
  readonly name = 'session cookie';
  readonly isAdditional = true;
  readonly #access: Pick<Access, 'authenticate' | 'revoke'>;
  readonly #seal: SessionSeal;
  readonly #signedOut = new Set<string>();
  readonly #kept = new ExpiringSet<string>({ keepMs: sessionMs, maxKept: maxSignedOut }, (id) =>
    this.#signedOut.delete(id),
  );
  /** The session of each principal. */
  readonly #idOf = new WeakMap<Principal, string>();

  constructor(access: Pick<Access, 'authenticate' | 'revoke'>, seal: SessionSeal) {
    this.#access = access;
    this.#seal = seal;
  }

  /** Undone, the list of sessions that were signed out is empty. */
  open(): Undo {
    return () => this.#kept.clear();
  }

  /** The user of the cookie. A cookie that no longer counts is as none. */
  authenticate(credentials: Credentials): Principal | undefined | Promise<Principal | undefined> {
    const { token, isCrossOrigin, peerAddress } = credentials;
    if (token !== undefined || isCrossOrigin) return undefined;
    const cookie = credentials.header('cookie');
    if (cookie === undefined) return undefined;
    const [session] = this.#sessionsIn(cookie);
    if (!session) return undefined;
    try {
      const found = this.#access.authenticate(only(session.token, peerAddress));
      if (!(found instanceof Promise)) return this.#within(session, found);
      return found.then((principal) => this.#within(session, principal), noneIfUnauthorized);
    } catch (error) {
      return noneIfUnauthorized(error);
    }
  }

  /** @throws UNAUTHORIZED */
  async signIn(token: string, address: string): Promise<SignedIn> {
    const principal = await this.#access.authenticate(only(token, address));
    const expiresAt = Math.min(Date.now() + sessionMs, principal.expiresAt ?? Number.POSITIVE_INFINITY);
    return { principal, expiresAt, value: this.#seal.seal({ id: randomId(), token, expiresAt }) };
  }

  /** Ends the sessions of a `Cookie` header, with their connections, and every copy of the cookie. Returns their user. */
  async signOut(cookie: string | undefined, address: string): Promise<string | undefined> {
    const ended = this.#sessionsIn(cookie);
    for (const { id } of ended) {
      this.#signedOut.add(id);
      this.#kept.keep(id);
    }
    const ids = new Set(ended.map(({ id }) => id));
    if (ids.size > 0) this.#access.revoke((principal) => ids.has(this.#idOf.get(principal) ?? ''));
    const [session] = ended;
    if (!session) return undefined;
    try {
      return (await this.#access.authenticate(only(session.token, address))).id;
    } catch (error) {
      return noneIfUnauthorized(error);
    }
  }

  #sessionsIn(cookie: string | undefined): readonly Session[] {
    const sessions = sessionValues(cookie).map((value) => this.#seal.open(value));
    return sessions.filter((each) => each !== undefined && !this.#signedOut.has(each.id)) as Session[];
  }

  #within(session: Session, parent: Principal): Principal {
    const expiresAt = Math.min(session.expiresAt, parent.expiresAt ?? Number.POSITIVE_INFINITY);
    const principal = { ...parent, expiresAt, parent };
    this.#idOf.set(principal, session.id);
    return principal;
  }
}

/** A token and nothing else. */
function only(token: string, peerAddress: string): Credentials {
  return { token, peerAddress, isCrossOrigin: false, header: () => undefined };
}

/** @throws any other error */
function noneIfUnauthorized(error: unknown): undefined {
  if (toClientError(error).code !== 'UNAUTHORIZED') throw error;
}
