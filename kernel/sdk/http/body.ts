import { WaggleError } from '../../errors.js';
import { type Deferred, deferred } from '../deferred.js';
import { parseJson } from '../json.js';
import type { Arriving, BodyRoom } from './body-room.js';
import { Collected, type SizeLimit } from './collected.js';
import { codingsIn, decoded, looksLikeGzip } from './content-coding.js';

// Also accepts the default content type of `curl -d`; the body must still be JSON.
const readable = /^(application\/([\w.+-]+\+)?json|application\/x-www-form-urlencoded)$/;
const readableText = new RegExp(`${readable.source}|^text/plain$`);

/** Headers of a body, and the depth limit of its JSON. */
export interface Reading {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly depthLimit?: number | undefined;
}

/** The limits of a body, and the place for its bytes. */
interface Allowance {
  readonly limit: SizeLimit;
  readonly room: BodyRoom;
  readonly collected: Collected;
}

/** A request body. It takes room from the moment its limit is known until it has been parsed. */
export class Body implements Arriving {
  #allowance: Allowance | undefined;
  #state: 'arriving' | 'whole' | { readonly error: unknown } = 'arriving';
  #settled: Deferred<void> | undefined;
  #isWhole = false;
  #value: Promise<unknown> | undefined;
  #sinceMs = 0;

  /** Whether the whole body has arrived. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get receivedBytes(): number {
    return this.#allowance?.collected.sizeBytes ?? 0;
  }

  get takenBytes(): number {
    return this.#allowance?.collected.takenBytes ?? 0;
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Sets its limit, before its first part; a declared length takes its room at once. @throws TOO_LARGE, BODIES_FULL */
  accept(limit: SizeLimit, room: BodyRoom, lengthBytes?: number): void {
    const least = limit.bytes <= room.limitBytes ? limit : { bytes: room.limitBytes, key: room.key };
    const collected = new Collected(least, room, this);
    if (lengthBytes !== undefined) collected.reserve(lengthBytes);
    this.#allowance = { limit: least, room, collected };
    this.#sinceMs = performance.now();
    if (this.#state === 'arriving') room.enter(this);
  }

  /** @throws TOO_LARGE and BODIES_FULL, which end the body */
  push(part: Uint8Array): void {
    if (this.#state !== 'arriving') return;
    try {
      this.#allowance?.collected.push(part);
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  end(): void {
    this.#settle('whole');
  }

  /** Ends a body that has not arrived with an error, which `json` then throws. */
  fail(error: unknown): void {
    this.#settle({ error });
  }

  giveWay(error: WaggleError): void {
    this.fail(error);
  }

  /** Forgets a body that is no longer wanted. */
  drop(error: Error): void {
    this.fail(error);
    if (this.#state === 'whole') this.#state = { error };
    this.#value = undefined;
    this.#allowance?.collected.drop();
  }

  /** Gives the room back at the end of its request, whatever still reads it. */
  release(): void {
    this.#allowance?.room.leave(this);
    this.#allowance?.collected.release();
  }

  /** @throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, BODIES_FULL, TOO_DEEP, INVALID_JSON, INVALID_REQUEST for a wrong coding */
  json(reading: Reading): Promise<unknown> {
    this.#value ??= this.#read(reading, readable).then((text) => parseJson(text, reading.depthLimit));
    return this.#value;
  }

  /** Also reads `text/plain`, which is what `fetch` calls a text. @throws as `json`, INVALID_JSON only if it is not UTF-8 */
  text(reading: Reading): Promise<string> {
    return this.#read(reading, readableText);
  }

  async #read({ contentType, contentEncoding }: Reading, types: RegExp): Promise<string> {
    const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
    if (type && !types.test(type)) throw new WaggleError('UNSUPPORTED_MEDIA_TYPE', { type });
    const codings = codingsIn(contentEncoding);
    if (this.#state === 'arriving') this.#settled ??= deferred();
    await this.#settled?.promise;
    if (typeof this.#state === 'object') throw this.#state.error;
    return this.#text(codings);
  }

  /** The text, whose bytes are forgotten: of what follows one copy is enough. */
  async #text(codings: readonly string[]): Promise<string> {
    const { collected, limit, room } = this.#allowance ?? {};
    if (!collected || !limit || !room) return '';
    const plain = await decoded(collected, codings, () => new Collected(limit, room));
    try {
      return decode(plain.bytes);
    } finally {
      plain.drop();
    }
  }

  #settle(state: 'whole' | { readonly error: unknown }): void {
    if (this.#state !== 'arriving') return;
    this.#state = state;
    this.#isWhole = state === 'whole';
    this.#allowance?.room.leave(this);
    if (state !== 'whole') this.#allowance?.collected.drop();
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
