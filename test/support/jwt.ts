import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** Signs the first two parts of a token. */
export type Signer = (input: string) => Buffer;

const base64url = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token of any form, made by hand: the library under test would refuse to make most of them. */
export function makeToken(header: object, payload: unknown, signer: Signer): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

export const hs256 =
  (secret: string | Buffer): Signer =>
  (input) =>
    createHmac('sha256', secret).update(input).digest();

export const rs256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign('sha256', Buffer.from(input), key);

export const es256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });

export const unsigned: Signer = () => Buffer.alloc(0);

/** A pair of RSA keys with its JWK. */
export function rsaPair(kid: string) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    privateKey,
    publicKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' },
    pem: String(publicKey.export({ type: 'spki', format: 'pem' })),
  };
}

/** Seconds since 1970, from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** The server of an issuer, which counts its requests. */
export async function startIssuer(keys: readonly unknown[]) {
  const issuer = { keys, status: 200, requests: 0, url: '', body: undefined as string | undefined };
  const server = createServer((_, response) => {
    issuer.requests++;
    response.statusCode = issuer.status;
    response.end(issuer.body ?? JSON.stringify({ keys: issuer.keys }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  onTestFinished(close);
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  return Object.assign(issuer, { close });
}
