import { createToken } from '../services.js';
import type { Undo } from './effect.js';
import type { EngineUser } from './engine-user.js';

/** Length limit of a user's id: a longer one is refused, never cut. */
export const userIdLimitChars = 128;

/** Limits of one user; none where absent. */
export interface UsageLimits {
  /** HTTP requests, and frames that ask for work. */
  readonly requestsPerMinute?: number | undefined;
  readonly repliesAtOnce?: number | undefined;
  /** WebSockets. */
  readonly connectionsAtOnce?: number | undefined;
  /** Tokens of requests and answers in 24 hours. */
  readonly tokensPerDay?: number | undefined;
}

/** A user whose credentials were accepted. */
export interface Principal {
  /** The user: owner of all that the requests start. */
  readonly id: string;
  /** `admin`: the routes of operators. `act-as`: requests in the name of other users. */
  readonly scopes: readonly string[];
  readonly limits?: UsageLimits | undefined;
  /** Names the key among those of its user, for limits per key. Not a secret. */
  readonly keyId?: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
  /** The principal that this one was made from, as a session from a key: revoked with it. */
  readonly parent?: Principal | undefined;
}

/** The part of a request, or of an `auth` frame, that can prove who asks. */
export interface Credentials {
  /** Of `Authorization: Bearer`, of `X-API-Key`, or of an `auth` frame. */
  readonly token?: string | undefined;
  /** A header of the request; undefined for an `auth` frame. */
  header(name: string): string | undefined;
  /** The address of the connection itself, whatever its headers say. */
  readonly peerAddress: string;
  /** Whether a page of another origin sent it: cookies do not count then. */
  readonly isCrossOrigin: boolean;
}

/** Accepts credentials of one kind. */
export interface Authenticator {
  /** For the log: `access-keys`. */
  readonly name: string;
  /** Knows users of other authenticators by another proof, such as a cookie: alone it does not close an open server. */
  readonly isAdditional?: boolean;
  /**
   * The user, or undefined for credentials of another kind, which are left to the next authenticator. At once where it can:
   * a WebSocket is judged after its upgrade where it returns a promise. @throws UNAUTHORIZED for bad credentials of its kind
   */
  authenticate(credentials: Credentials): Principal | undefined | Promise<Principal | undefined>;
}

/** One line of the audit log. */
export interface AuditEntry {
  readonly action: 'sign_in' | 'sign_out' | 'refused' | 'admin' | 'deleted' | 'revoked';
  /** The object of the action: `GET /metrics`, `conversation c1`. No secret. */
  readonly what: string;
  readonly userId?: string | undefined;
  readonly remoteAddress?: string | undefined;
  readonly requestId?: string | undefined;
  /** The code or the reason of a refusal. */
  readonly why?: string | undefined;
}

/** Decides who asks. Without an authenticator the server is open: users are taken at their word. */
export interface Access {
  /** Whether requests need credentials. */
  readonly isRequired: boolean;
  /** Authenticators are asked in the order of the config. Undone, those that it has accepted are no longer so. */
  add(authenticator: Authenticator): Undo;
  /** Declares that the server is open on purpose. Without effect beside an authenticator. */
  declareOpen(): Undo;
  /** The user of credentials. @throws UNAUTHORIZED for none, unknown and bad ones */
  authenticate(credentials: Credentials): Principal | Promise<Principal>;
  /** Ends the connections and open responses of users whose credentials no longer hold. */
  revoke(isRevoked: (principal: Principal) => boolean): void;
  /** Writes one line to the audit log. */
  audit(entry: AuditEntry): void;
}

/** Provided by the plugin that owns the port. */
export const Access = createToken<Access>('access', {
  add: ({ name }) => ({ kind: 'authenticator', name }),
  declareOpen: () => ({ kind: 'access', name: 'open' }),
});

/** The rest of a user's limits. */
export interface UsageLeft {
  readonly requestsPerMinute?: Remaining;
  readonly repliesAtOnce?: Remaining;
  readonly tokensPerDay?: Remaining;
}

/** One limit. */
export interface Remaining {
  readonly limit: number;
  readonly left: number;
  /** Until all of it is there again. */
  readonly resetMs?: number;
}

/** The share of a limit that a reply has taken. */
export interface Reservation {
  /** Gives back what was not used. Later calls do nothing. */
  settle(used: number): void;
}

/**
 * Counts usage against the limits of users and keys. A promise where the counts are elsewhere: it rejects with ENGINE_UNAVAILABLE
 * while these cannot be reached.
 */
export interface Limits extends EngineUser {
  /** The reason why counts cannot be reached, once that has lasted 3 s. Public in `GET /ready`, so without addresses. */
  readonly trouble?: string | undefined;
  /** The limits that hold for a user: those of its credentials, or of the config. */
  of(principal: Principal): UsageLimits | undefined;
  /** Counts a request. @throws RATE_LIMITED */
  request(principal: Principal): void | Promise<void>;
  /** Counts a reply until its settlement with 0; one that another server runs again counts once. @throws RATE_LIMITED */
  reply(principal: Principal, replyId: string): Reservation | undefined | Promise<Reservation | undefined>;
  /** Reserves tokens; settled with the tokens used. @throws BUDGET_EXCEEDED */
  tokens(principal: Principal, tokens: number): Reservation | undefined | Promise<Reservation | undefined>;
  left(principal: Principal): Promise<UsageLeft>;
}

/** Provided by the plugin that counts usage. */
export const Limits = createToken<Limits>('limits');

declare module './bus.js' {
  interface KernelEvents {
    /** A line was written to the audit log. */
    'access:audited': AuditEntry;
  }
}
