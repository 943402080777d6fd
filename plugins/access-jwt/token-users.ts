import type { KeyObject } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { type Principal, userIdLimitChars, WaggleError } from '#kernel';
import { isJsonObject } from '#sdk';
import type { Config } from './config.js';
import type { KeyName } from './key-set.js';
import { digestOf, TokenCache } from './token-cache.js';
import type { VerificationKey } from './verification-key.js';

const tokenLimitChars = 8 * 1024;

/** Finds the key of a token; undefined for none. */
export type FindKey = (name: KeyName) => VerificationKey | undefined | Promise<VerificationKey | undefined>;

/** Users by their tokens. A token that was seen before is judged at once. */
export class TokenUsers {
  readonly #config: Config;
  readonly #findKey: FindKey;
  readonly #cache = new TokenCache();
  readonly #keyOf = new WeakMap<Principal, KeyObject>();
  readonly #gone = new WeakSet<KeyObject>();

  constructor(config: Config, findKey: FindKey) {
    this.#config = config;
    this.#findKey = findKey;
  }

  /** The user; undefined for a token that is no JWT, or one of another issuer. @throws UNAUTHORIZED */
  authenticate(token: string): Principal | undefined | Promise<Principal> {
    if (token.length > tokenLimitChars) throw refused(`it is longer than ${tokenLimitChars} characters`);
    const digest = digestOf(token);
    const known = this.#cache.find(digest);
    if (known) return known;
    const parts = partsOf(token);
    if (!parts) return undefined;
    const { header, payload } = parts;
    const { issuer } = this.#config;
    if (issuer !== undefined && typeof payload.iss === 'string' && payload.iss !== issuer) return undefined;
    return this.#verify(token, digest, header);
  }

  /** Forgets tokens that these keys have signed. Returns whether a user is one of theirs. */
  drop(keys: ReadonlySet<KeyObject>): (user: Principal) => boolean {
    for (const key of keys) this.#gone.add(key);
    const isGone = (user: Principal) => {
      const key = this.#keyOf.get(user);
      return key !== undefined && keys.has(key);
    };
    this.#cache.drop(isGone);
    return isGone;
  }

  async #verify(token: string, digest: string, { alg, kid }: Json): Promise<Principal> {
    if (typeof alg !== 'string') throw refused('it cannot be read');
    const found = await this.#findKey({ kid, alg });
    if (!found) throw refused('no key fits it');
    const { issuer, audience, clockToleranceS } = this.#config;
    try {
      const { payload } = await jwtVerify(token, found.key, {
        algorithms: [...found.algorithms],
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience: typeof audience === 'string' ? audience : [...audience] }),
        clockTolerance: clockToleranceS,
        requiredClaims: ['exp'],
      });
      // Its key may have gone meanwhile.
      if (this.#gone.has(found.key)) throw refused('no key fits it');
      const user = this.#userOf(payload);
      this.#keyOf.set(user, found.key);
      this.#cache.keep(digest, user);
      return user;
    } catch (error) {
      throw error instanceof WaggleError ? error : refused(reasonOf(error));
    }
  }

  #userOf(payload: JWTPayload): Principal {
    const { userClaim, scopesClaim, clockToleranceS } = this.#config;
    const id = claim(payload, userClaim);
    if (typeof id !== 'string' || id === '') throw refused(`its claim "${userClaim}" names no user`);
    if (id.length > userIdLimitChars)
      throw refused(`its claim "${userClaim}" has more than ${userIdLimitChars} characters`);
    const scopes = scopesIn(claim(payload, scopesClaim));
    if (!scopes) throw refused(`its claim "${scopesClaim}" is no list of scopes`);
    const expiresAt = ((payload.exp as number) + clockToleranceS) * 1000;
    if (!Number.isFinite(expiresAt)) throw refused('its claim "exp" is no time');
    return { id, scopes, expiresAt };
  }
}

type Json = Readonly<Record<string, unknown>>;

/** Header and claims, not verified; undefined for a text of another form. */
function partsOf(token: string): { readonly header: Json; readonly payload: Json } | undefined {
  const [, head = '', body = ''] = /^([\w-]+)\.([\w-]+)\.[\w-]*$/.exec(token) ?? [];
  const [header, payload] = [jsonIn(head), jsonIn(body)];
  return header && payload && { header, payload };
}

function jsonIn(part: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function claim(payload: JWTPayload, name: string): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined;
}

function scopesIn(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (typeof value === 'string') return value.split(' ').filter(Boolean);
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined;
}

/** The reason without any part of the token. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not accepted';
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'it cannot be read';
  if (error.claim === 'nbf' && error.reason === 'check_failed') return 'it is not valid yet';
  if (error.claim === 'aud') return 'it is for another audience';
  if (error.claim === 'iss') return 'it is of another issuer';
  if (error.claim === 'exp' && error.reason === 'missing') return 'it never expires: "exp" is missing';
  return `its claim "${error.claim}" is invalid`;
}

function refused(why: string): WaggleError {
  return new WaggleError('UNAUTHORIZED', { why: `the token is refused: ${why}` });
}
