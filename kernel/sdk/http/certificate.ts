import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { messageOf, WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';

/** The files of a certificate, in PEM. */
export interface TlsFiles {
  /** The certificate, followed by those of its issuers. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate with its key, which were checked to fit together. */
export interface Certificate {
  /** Absolute paths. */
  readonly files: TlsFiles;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The certificate of a server, and its successors. */
export class ServerCertificate {
  readonly #files: TlsFiles;
  readonly #logger: Logger;
  #current: Certificate | undefined;
  #reloading: Promise<void> = Promise.resolve();

  constructor(files: TlsFiles, logger: Logger) {
    this.#files = files;
    this.#logger = logger;
  }

  /** The certificate for the start. @throws TLS_UNUSABLE */
  read(): Certificate {
    this.#current = readCertificate(this.#files);
    return this.#current;
  }

  /** Reads the files again and passes a new certificate to `use`. One that cannot be used is logged, and the old one stays. */
  reload(use: (certificate: Certificate) => void | Promise<void>): Promise<void> {
    // One after the other: a second signal may come while the first one is being served.
    this.#reloading = this.#reloading.then(() => this.#reload(use));
    return this.#reloading;
  }

  async #reload(use: (certificate: Certificate) => void | Promise<void>): Promise<void> {
    const { certFile } = this.#files;
    try {
      const next = readCertificate(this.#files);
      if (this.#current?.cert.equals(next.cert) && this.#current.key.equals(next.key)) {
        this.#logger.info({ certFile }, 'the certificate has not changed');
        return;
      }
      await use(next);
      this.#current = next;
      this.#logger.info({ certFile }, 'new connections get the new certificate');
    } catch (err) {
      this.#logger.error({ err, certFile }, 'the new certificate cannot be used; the old one stays');
    }
  }
}

/** @throws TLS_UNUSABLE */
function readCertificate({ certFile, keyFile }: TlsFiles): Certificate {
  try {
    const files = { certFile: resolve(certFile), keyFile: resolve(keyFile) };
    const [cert, key] = [readFileSync(files.certFile), readFileSync(files.keyFile)];
    createSecureContext({ cert, key });
    return { files, cert, key };
  } catch (cause) {
    throw new WaggleError('TLS_UNUSABLE', { certFile, keyFile, why: messageOf(cause) }, { cause });
  }
}
