import type { ReadableListener } from '../../contracts/readable.js';
import type { BodyParts } from '../../contracts/transport.js';

/** Where the parts of a body go. */
export interface BodySink {
  /** False asks to wait for `writable`. */
  write(part: string): boolean;
  /** There is nothing more. */
  finish(): void;
  /** There was no room for the time allowed. */
  stalled(): void;
}

const sliceLength = 5 * 1024;

/** Sends the parts of one body as they come, and takes none while its sink has no room. No part costs a promise or a timer. */
export class BodyPump implements ReadableListener {
  /** Resolves when all was sent or the pump was stopped; rejects with what the parts throw. */
  readonly ended: Promise<void>;
  readonly #parts: BodyParts;
  readonly #sink: BodySink;
  readonly #stallTimeoutMs: number;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};
  /** What is left of a long part. */
  #rest = '';
  #isSending = false;
  #stopped = false;
  /** Set while there is no room. */
  #stalled: NodeJS.Timeout | undefined;

  constructor(parts: BodyParts, sink: BodySink, stallTimeoutMs: number) {
    this.#parts = parts;
    this.#sink = sink;
    this.#stallTimeoutMs = stallTimeoutMs;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    parts.onReadable(this);
  }

  readable(): void {
    if (this.#isSending || this.#stopped || this.#stalled) return;
    this.#isSending = true;
    try {
      this.#send();
    } catch (error) {
      this.#stopped = true;
      this.#reject(error);
    }
    this.#isSending = false;
  }

  /** The sink has room again. */
  writable(): void {
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
    this.readable();
  }

  /** Nobody is there to read any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#stalled);
    this.#resolve();
  }

  #send(): void {
    while (!this.#stopped) {
      const part = this.#next();
      if (part === '') return;
      if (part === undefined) {
        this.stop();
        this.#sink.finish();
      } else if (!this.#sink.write(part) && !this.#stopped) {
        this.#stalled = setTimeout(() => this.#sink.stalled(), this.#stallTimeoutMs);
        return;
      }
    }
  }

  /** Short enough to fit into the smallest free space that a socket reports, so that what waits cannot grow. */
  #next(): string | undefined {
    const text = this.#rest || this.#parts.take();
    this.#rest = '';
    if (!text || text.length <= sliceLength) return text;
    // Never between the two halves of one character.
    const isBetween = text.codePointAt(sliceLength - 1) !== text.charCodeAt(sliceLength - 1);
    const end = isBetween ? sliceLength - 1 : sliceLength;
    this.#rest = text.slice(end);
    return text.slice(0, end);
  }
}
