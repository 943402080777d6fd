import { WaggleError } from '../../errors.js';

/** How long a body arrives undisturbed. Later the slowest one gives way where there is no room for another. */
const patienceMs = 10_000;
const retryAfterMs = 1000;

/** A body on its way. */
export interface Arriving {
  readonly receivedBytes: number;
  /** Room that it has taken. */
  readonly takenBytes: number;
  /** By `performance.now()`. */
  readonly sinceMs: number;
  /** Ends it: its room is free when this returns. */
  giveWay(error: WaggleError): void;
}

/** The memory for all bodies that are being received, or wait to be parsed. */
export class BodyRoom {
  readonly #config: { readonly bodiesLimitBytes: number };
  readonly key = '"bodiesLimitBytes" of the transport';
  #takenBytes = 0;
  readonly #arriving = new Set<Arriving>();

  constructor(config: { readonly bodiesLimitBytes: number }) {
    this.#config = config;
  }

  get limitBytes(): number {
    return this.#config.bodiesLimitBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Takes room, for a body that is arriving or for what it becomes. @throws BODIES_FULL */
  take(bytes: number, by?: Arriving): void {
    if (this.#takenBytes + bytes > this.limitBytes) this.#make(bytes, by);
    this.#takenBytes += bytes;
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes;
  }

  enter(body: Arriving): void {
    this.#arriving.add(body);
  }

  leave(body: Arriving): void {
    this.#arriving.delete(body);
  }

  /**
   * A declared length takes its room at once, so that bodies that begin can also end. A sender that is slow would hold it
   * for as long as it likes: bodies that have had their time give way, the slowest first.
   */
  #make(bytes: number, by: Arriving | undefined): void {
    const now = performance.now();
    let oldestMs = 0;
    const slow: { readonly body: Arriving; readonly pace: number }[] = [];
    for (const body of this.#arriving) {
      if (body === by || body.takenBytes === 0) continue;
      const ageMs = now - body.sinceMs;
      oldestMs = Math.max(oldestMs, ageMs);
      if (ageMs >= patienceMs) slow.push({ body, pace: body.receivedBytes / ageMs });
    }
    slow.sort((a, b) => a.pace - b.pace);
    let freeBytes = this.limitBytes - this.#takenBytes;
    const leaving: Arriving[] = [];
    for (const { body } of slow) {
      if (freeBytes >= bytes) break;
      freeBytes += body.takenBytes;
      leaving.push(body);
    }
    if (freeBytes < bytes) throw this.#full(Math.max(retryAfterMs, patienceMs - oldestMs));
    for (const body of leaving) body.giveWay(this.#full(retryAfterMs));
  }

  #full(retryAfterMs: number): WaggleError {
    const { limitBytes, key } = this;
    return new WaggleError('BODIES_FULL', { limitBytes, key, retryAfterMs });
  }
}
