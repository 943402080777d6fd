import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { type ClientErrorCode, WaggleError } from '../../errors.js';
import { parseUrl } from '../parse-url.js';

/**
 * Accepted values of `Host`, against DNS rebinding: a page may point its own name at this machine and is then of the same
 * origin as the server, but its requests carry that name.
 */
export class AllowedHosts {
  readonly #isAny: boolean;
  readonly #names: ReadonlySet<string>;
  /** The value that was accepted last: most requests carry the same one. */
  #accepted: string | undefined;

  /** `*` accepts any name. */
  constructor(names: readonly string[]) {
    this.#isAny = names.includes('*');
    this.#names = new Set(['localhost', hostname(), ...names].flatMap((name) => nameOf(name) ?? []));
  }

  /** The error for a request with this `Host`; undefined where it is accepted. */
  refusal(host: string | undefined): WaggleError<ClientErrorCode> | undefined {
    if (host !== undefined && host === this.#accepted) return undefined;
    const name = host === undefined ? undefined : nameOf(host);
    if (name === undefined)
      return new WaggleError('INVALID_REQUEST', {
        issues: ['Host: expected one name, with or without a port'],
      });
    if (this.#isAny || this.#names.has(name) || isIP(name.replace(/^\[|\]$/g, ''))) {
      this.#accepted = host;
      return undefined;
    }
    return new WaggleError('HOST_NOT_ALLOWED', { host: name.slice(0, 253) });
  }
}

/** A host name or address without its port, in lower case, without a final dot. */
export function nameOf(host: string): string | undefined {
  const url = /^([\p{L}\p{N}._~-]+|\[[\da-f:.]+\])(:\d*)?$/iu.test(host) ? `http://${host}` : '';
  return parseUrl(url)?.hostname.replace(/\.$/, '');
}
