import {
  type Authenticator,
  type Credentials,
  type Principal,
  userIdLimitChars,
} from '../../contracts/access.js';
import type { Undo } from '../../contracts/effect.js';
import { WaggleError } from '../../errors.js';

/** The authenticators of a server, in the order of the config. */
export class Authenticators {
  readonly #all: Authenticator[] = [];
  /** The authenticator of each user. */
  readonly #acceptedBy = new WeakMap<Principal, Authenticator>();
  #isRequired = false;

  /** Whether requests need credentials. */
  get isRequired(): boolean {
    return this.#isRequired;
  }

  /** `removed` gets the users of one that is gone. */
  add(authenticator: Authenticator, removed: (isTheirs: (principal: Principal) => boolean) => void): Undo {
    this.#all.push(authenticator);
    // For good: a server must not open because a plugin stops.
    if (!authenticator.isAdditional) this.#isRequired = true;
    return () => {
      const at = this.#all.indexOf(authenticator);
      if (at < 0) return;
      this.#all.splice(at, 1);
      removed((principal) => this.#acceptedBy.get(principal) === authenticator);
    };
  }

  /** The user of credentials. @throws UNAUTHORIZED for none, unknown and bad ones */
  authenticate(credentials: Credentials): Principal | Promise<Principal> {
    const found = this.find(credentials);
    if (found instanceof Promise) return found.then((principal) => principal ?? none());
    return found ?? none();
  }

  /** The same, but undefined where there is no token. @throws UNAUTHORIZED */
  find(credentials: Credentials): Principal | undefined | Promise<Principal | undefined> {
    const found = this.#from(0, credentials);
    if (found instanceof Promise) return found.then((principal) => principal ?? unlessToken(credentials));
    return found ?? unlessToken(credentials);
  }

  /** The user by the first authenticator, from `start` on, that knows the credentials. */
  #from(start: number, credentials: Credentials): Principal | undefined | Promise<Principal | undefined> {
    for (let at = start; at < this.#all.length; at++) {
      const authenticator = this.#all[at] as Authenticator;
      const found = authenticator.authenticate(credentials);
      if (found instanceof Promise)
        return found.then((principal) =>
          principal ? this.#accept(principal, authenticator) : this.#from(at + 1, credentials),
        );
      if (found) return this.#accept(found, authenticator);
    }
    return undefined;
  }

  #accept(principal: Principal, authenticator: Authenticator): Principal {
    if (!isPrincipal(principal))
      throw new TypeError(
        `the authenticator "${authenticator.name}" gave a user without an id of 1-${userIdLimitChars} characters, a list of scopes or a finite end`,
      );
    if (principal.expiresAt !== undefined && principal.expiresAt <= Date.now())
      throw new WaggleError('UNAUTHORIZED', { why: 'they have expired' });
    if (!this.#acceptedBy.has(principal)) this.#acceptedBy.set(principal, authenticator);
    return principal;
  }
}

/** A mistake of an authenticator must not open the server. */
function isPrincipal({ id, scopes, expiresAt }: { readonly [Key in keyof Principal]?: unknown }): boolean {
  const hasId = typeof id === 'string' && id !== '' && id.length <= userIdLimitChars;
  return hasId && Array.isArray(scopes) && (expiresAt === undefined || Number.isFinite(expiresAt));
}

function none(): never {
  throw new WaggleError('UNAUTHORIZED', { why: 'send "Authorization: Bearer …" or "X-API-Key: …"' });
}

/** @throws UNAUTHORIZED for a token, which none has known */
function unlessToken({ token }: Credentials): undefined {
  if (token !== undefined) throw new WaggleError('UNAUTHORIZED', { why: 'these are unknown' });
}
