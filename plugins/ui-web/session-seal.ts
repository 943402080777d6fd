import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { isJsonObject } from '#sdk';

/** The content of a session cookie. */
export interface Session {
  /** Names it in the list of those that were signed out. */
  readonly id: string;
  /** The key or token that it stands for. */
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

const cipher = 'aes-256-gcm';
const [keyBytes, ivBytes, tagBytes] = [32, 12, 16];
/** No browser keeps a longer cookie. */
const maxChars = 4096;
/** Sessions that are kept opened; a decryption takes longer than all other checks of a request. */
const maxOpened = 1000;

/** Encrypts and authenticates sessions: only a server with the same secret can read or make one. */
export class SessionSeal {
  readonly #key: Buffer;
  /** By cookie: only those that this secret has sealed. */
  readonly #opened = new Map<string, Session>();

  /** Without a secret, a random one: no session outlives the process. */
  constructor(secret: string) {
    const material = secret === '' ? randomBytes(keyBytes) : secret;
    this.#key = Buffer.from(hkdfSync('sha256', material, '', 'waggle session cookie', keyBytes));
  }

  seal(session: Session): string {
    const iv = randomBytes(ivBytes);
    const sealing = createCipheriv(cipher, this.#key, iv, { authTagLength: tagBytes });
    const sealed = Buffer.concat([sealing.update(JSON.stringify(session)), sealing.final()]);
    return Buffer.concat([iv, sealed, sealing.getAuthTag()]).toString('base64url');
  }

  /** Undefined for anything that this secret has not sealed, and after the end of the session. */
  open(text: string): Session | undefined {
    const session = this.#opened.get(text) ?? this.#decrypt(text);
    if (!session) return undefined;
    if (session.expiresAt > Date.now()) return session;
    this.#opened.delete(text);
    return undefined;
  }

  #decrypt(text: string): Session | undefined {
    if (text.length > maxChars) return undefined;
    const bytes = Buffer.from(text, 'base64url');
    const end = bytes.length - tagBytes;
    if (end <= ivBytes) return undefined;
    try {
      const iv = bytes.subarray(0, ivBytes);
      const opening = createDecipheriv(cipher, this.#key, iv, { authTagLength: tagBytes });
      opening.setAuthTag(bytes.subarray(end));
      const opened = Buffer.concat([opening.update(bytes.subarray(ivBytes, end)), opening.final()]);
      const session: unknown = JSON.parse(opened.toString());
      if (!isSession(session)) return undefined;
      if (this.#opened.size >= maxOpened) this.#opened.clear();
      this.#opened.set(text, session);
      return session;
    } catch {
      return undefined;
    }
  }
}

function isSession(value: unknown): value is Session {
  if (!isJsonObject(value)) return false;
  const { id, token, expiresAt } = value;
  return typeof id === 'string' && typeof token === 'string' && typeof expiresAt === 'number';
}
