import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { type ClientErrorCode, WaggleError } from '../../errors.js';

/**
 * The names that this server may be called by. A page may point its own name at this machine and is then of the same
 * origin as the server; but it cannot do without that name, so that only names that are ours are answered.
 */
export class AllowedHosts {
  readonly #isAny: boolean;
  readonly #names: ReadonlySet<string>;

  /** `*` is any. */
  constructor(names: readonly string[]) {
    this.#isAny = names.includes('*');
    this.#names = new Set(['localhost', hostname(), ...names].flatMap((name) => nameOf(name) ?? []));
  }

  /** Why a request with this `Host` is refused; undefined where it is not. */
  refusal(host: string | undefined): WaggleError<ClientErrorCode> | undefined {
    const name = host === undefined ? undefined : nameOf(host);
    if (name === undefined)
      return new WaggleError('INVALID_REQUEST', {
        issues: ['Host: expected one name, with or without a port'],
      });
    if (this.#isAny || this.#names.has(name) || isIP(name.replace(/^\[|\]$/g, ''))) return undefined;
    return new WaggleError('HOST_NOT_ALLOWED', { host: name.slice(0, 253) });
  }
}

/** A name or address without its port, in lower case and without the dot at the end. */
export function nameOf(host: string): string | undefined {
  const url = /^([\p{L}\p{N}._~-]+|\[[\da-f:.]+\])(:\d*)?$/iu.test(host) ? `http://${host}` : '';
  return URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, '') : undefined;
}
