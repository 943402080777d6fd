import { type Credentials, type Principal, userIdLimitChars, WaggleError } from '#kernel';
import { TrustedProxies } from '#sdk/http';
import type { Config } from './config.js';

/** The values of Caddy and Apache for a user that they do not know. */
const unfilled = /^\{.*\}$|^\(null\)$/;

/** Users named by a proxy that has authenticated them. */
export class ProxyUsers {
  readonly #config: Config;
  readonly #proxies: TrustedProxies;
  /** Called when another address sends the header. */
  readonly #onForged: (address: string) => void;

  constructor(config: Config, onForged: (address: string) => void) {
    this.#config = config;
    this.#proxies = new TrustedProxies(config.trustedProxies);
    this.#onForged = onForged;
  }

  /** @throws UNAUTHORIZED for a trusted proxy that names none, or several */
  authenticate(credentials: Credentials): Principal | undefined {
    const { userHeader, scopes } = this.#config;
    const id = credentials.header(userHeader)?.trim();
    if (id === undefined) return undefined;
    if (!this.#proxies.has(credentials.peerAddress)) {
      this.#onForged(credentials.peerAddress);
      return undefined;
    }
    if (id === '' || unfilled.test(id)) throw refused('names no user');
    // A repeated header is joined with commas: one of them may be the client's own.
    if (id.includes(',')) throw refused('names more than one user');
    if (id.length > userIdLimitChars)
      throw refused(`names a user of more than ${userIdLimitChars} characters`);
    return { id, scopes };
  }
}

function refused(why: string): WaggleError {
  return new WaggleError('UNAUTHORIZED', { why: `the proxy in front ${why}` });
}
