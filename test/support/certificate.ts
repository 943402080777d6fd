import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const dayMs = 86_400_000;

export interface CertificateOptions {
  /** IPv4 address that it is for; that of the tests when absent. */
  readonly ip?: readonly number[];
  /** In days from now. */
  readonly from?: number;
  readonly until?: number;
  /** Itself when absent. */
  readonly issuer?: Certificate;
}

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly name: string;
  readonly privateKey: KeyObject;
}

/** A certificate for a server of a test, made here because Node can only read them. */
export function makeCertificate(name: string, options: CertificateOptions = {}): Certificate {
  const { ip = [127, 0, 0, 1], from = -1, until = 1, issuer } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const subjectAltName = sequence(oid(0x55, 0x1d, 0x11), octets(sequence(der(0x87, Buffer.from(ip)))));
  const basicConstraints = sequence(oid(0x55, 0x1d, 0x13), octets(sequence(der(0x01, Buffer.of(0xff)))));
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1)),
    ecdsaWithSha256,
    named(issuer?.name ?? name),
    sequence(time(from), time(until)),
    named(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(subjectAltName, basicConstraints)),
  );
  const signature = sign('sha256', toBeSigned, issuer?.privateKey ?? privateKey);
  const bytes = sequence(toBeSigned, ecdsaWithSha256, der(0x03, Buffer.of(0), signature));
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    cert: `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`,
    name,
    privateKey,
  };
}

function named(name: string): Buffer {
  return sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))));
}

function time(days: number): Buffer {
  const digits = new Date(Date.now() + days * dayMs).toISOString().replace(/\D/g, '').slice(0, 14);
  return der(0x18, Buffer.from(`${digits}Z`));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function octets(content: Buffer): Buffer {
  return der(0x04, content);
}

function oid(...bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}
