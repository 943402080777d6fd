import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';

/** A key with the algorithms that it may be used with: fixed by its kind, never by a token. */
export interface VerificationKey {
  readonly key: KeyObject;
  readonly algorithms: readonly string[];
}

const ofCurve: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
};

/** A shared secret. */
export function secretKey(secret: string): VerificationKey {
  return { key: createSecretKey(Buffer.from(secret)), algorithms: ['HS256', 'HS384', 'HS512'] };
}

/** A public key in PEM or JWK; or why the text is none. */
export function publicKeyIn(text: string): VerificationKey | string {
  try {
    if (text.trimStart().startsWith('{')) return publicKeyOf(JSON.parse(text) as JsonWebKey);
    if (text.includes('PRIVATE KEY')) return 'this is a private key; the public one is enough';
    return withAlgorithms(createPublicKey(text));
  } catch {
    return 'expected a public key, as PEM or JWK';
  }
}

/** The public key of a JWK; or why it is none. */
export function publicKeyOf(jwk: JsonWebKey & { readonly alg?: unknown }): VerificationKey | string {
  if (jwk.kty === 'oct') return 'this is a secret, not a public key';
  if (jwk.d !== undefined) return 'this is a private key; the public one is enough';
  const found = withAlgorithms(createPublicKey({ key: jwk, format: 'jwk' }));
  if (typeof found === 'string' || jwk.alg === undefined) return found;
  const algorithms = found.algorithms.filter((each) => each === jwk.alg);
  return algorithms.length > 0
    ? { ...found, algorithms }
    : `the algorithm "${jwk.alg}" is not that of such a key`;
}

function withAlgorithms(key: KeyObject): VerificationKey | string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) < 2048) return 'an RSA key has at least 2048 bits';
    return { key, algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] };
  }
  if (type === 'ed25519') return { key, algorithms: ['EdDSA', 'Ed25519'] };
  const algorithms = ofCurve[details?.namedCurve ?? ''];
  return algorithms ? { key, algorithms } : 'expected RSA, EC (P-256, P-384, P-521) or Ed25519';
}
