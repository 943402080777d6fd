import { WaggleError } from '../../errors.js';
import type { Arriving, BodyRoom } from './body-room.js';

/** How large something may be, and where that is set. */
export interface SizeLimit {
  readonly bytes: number;
  readonly key?: string | undefined;
}

/** @throws TOO_LARGE */
function checkSize(sizeBytes: number, { bytes: limitBytes, key }: SizeLimit): void {
  if (sizeBytes > limitBytes) throw new WaggleError('TOO_LARGE', { limitBytes, key });
}

const none = Buffer.alloc(0);

/** Bytes that come in parts, within a limit of their own and the room for all. */
export class Collected {
  readonly #limit: SizeLimit;
  readonly #room: BodyRoom;
  readonly #by: Arriving | undefined;
  // One growing buffer: a list of one-byte chunks would take a hundred times their size.
  #buffer = none;
  #sizeBytes = 0;
  #takenBytes = 0;

  constructor(limit: SizeLimit, room: BodyRoom, by?: Arriving) {
    this.#limit = limit;
    this.#room = room;
    this.#by = by;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#sizeBytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Takes the room for a known length; the memory itself with the first part. @throws TOO_LARGE, BODIES_FULL */
  reserve(lengthBytes: number): void {
    checkSize(lengthBytes, this.#limit);
    this.#take(lengthBytes);
  }

  /** Copies a part, because native layers reuse their memory. @throws TOO_LARGE, BODIES_FULL */
  push(part: Uint8Array): void {
    const sizeBytes = this.#sizeBytes + part.byteLength;
    checkSize(sizeBytes, this.#limit);
    this.#take(sizeBytes);
    if (sizeBytes > this.#buffer.byteLength) {
      // With a known length, all of it at once.
      const grown = this.#sizeBytes === 0 ? 0 : Math.min(this.#limit.bytes, sizeBytes * 2);
      const buffer = Buffer.allocUnsafe(Math.max(this.#takenBytes, grown));
      buffer.set(this.bytes);
      this.#buffer = buffer;
    }
    this.#buffer.set(part, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** Gives the room back; the bytes are gone. */
  drop(): void {
    this.#buffer = none;
    this.#sizeBytes = 0;
    this.release();
  }

  /** Gives the room back; the bytes stay for as long as somebody has them. */
  release(): void {
    this.#room.give(this.#takenBytes);
    this.#takenBytes = 0;
  }

  #take(sizeBytes: number): void {
    if (sizeBytes <= this.#takenBytes) return;
    this.#room.take(sizeBytes - this.#takenBytes, this.#by);
    this.#takenBytes = sizeBytes;
  }
}
