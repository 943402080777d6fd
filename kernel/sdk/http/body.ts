import { WaggleError } from '../../errors.js';
import { type Deferred, deferred } from '../deferred.js';
import { parseJson } from '../json.js';
import { codingsIn, decoded, looksLikeGzip } from './content-coding.js';

// Also accepts the default content type of `curl -d`; the body must still be JSON.
const readable = /^(application\/([\w.+-]+\+)?json|application\/x-www-form-urlencoded)$/;

/** Headers of a body, and the depth limit of its JSON. */
export interface Reading {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly depthLimit?: number | undefined;
}

/** A request body, buffered up to a limit. */
export class Body {
  readonly #limitBytes: number;
  // One growing buffer: a list of one-byte chunks would take a hundred times their size.
  #bytes = Buffer.alloc(0);
  #sizeBytes = 0;
  #state: 'arriving' | 'whole' | { readonly error: unknown } = 'arriving';
  #settled: Deferred<void> | undefined;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether the whole body has arrived. */
  get isWhole(): boolean {
    return this.#state === 'whole';
  }

  /** Copies the chunk, because native layers reuse their memory. @throws TOO_LARGE above the limit, and drops the body */
  push(chunk: Uint8Array): void {
    if (this.#state !== 'arriving') return;
    const sizeBytes = this.#sizeBytes + chunk.byteLength;
    if (sizeBytes > this.#limitBytes) {
      const error = new WaggleError('TOO_LARGE', { limitBytes: this.#limitBytes });
      this.fail(error);
      throw error;
    }
    if (sizeBytes > this.#bytes.byteLength) {
      const bytes = Buffer.allocUnsafe(Math.min(this.#limitBytes, sizeBytes * 2));
      bytes.set(this.#bytes.subarray(0, this.#sizeBytes));
      this.#bytes = bytes;
    }
    this.#bytes.set(chunk, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  end(): void {
    this.#settle('whole');
  }

  /** Ends the body with an error, which `json` then throws. */
  fail(error: unknown): void {
    this.#settle({ error });
  }

  /** @throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, TOO_DEEP, INVALID_JSON, INVALID_REQUEST for a wrong coding */
  async json({ contentType, contentEncoding, depthLimit }: Reading): Promise<unknown> {
    const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
    if (type && !readable.test(type)) throw new WaggleError('UNSUPPORTED_MEDIA_TYPE', { type });
    const codings = codingsIn(contentEncoding);
    if (this.#state === 'arriving') this.#settled ??= deferred();
    await this.#settled?.promise;
    if (typeof this.#state === 'object') throw this.#state.error;
    const bytes = this.#bytes.subarray(0, this.#sizeBytes);
    const plain = codings.length > 0 ? await decoded(bytes, codings, this.#limitBytes) : bytes;
    return parseJson(decode(plain), depthLimit);
  }

  #settle(state: 'whole' | { readonly error: unknown }): void {
    if (this.#state !== 'arriving') return;
    this.#state = state;
    if (state !== 'whole') this.#bytes = Buffer.alloc(0);
    this.#settled?.resolve();
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const why = looksLikeGzip(bytes)
      ? 'the body looks like gzip, and has no Content-Encoding'
      : 'the body is not UTF-8';
    throw new WaggleError('INVALID_JSON', { why }, { cause });
  }
}
