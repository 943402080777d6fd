import type { Request } from '#sdk/http';

/**
 * Finds requests glued to one after which nothing may run. The native parser goes on with what it has read, also behind an
 * answer that ends the connection, and does not say whose bytes it reads: what tells is the order of its calls.
 */
export class GluedRequests {
  /** Whose bytes were read last. */
  #reading: Request | undefined;
  /** The peer of an answer that ends its connection, from then until the parser is through with what it has read. */
  #leaving: string | undefined;

  /** A part of its body has been read. */
  reads(request: Request): void {
    this.#reading = request;
  }

  /** Its head has been read. True where it may not run. */
  has(request: Request): boolean {
    this.#reading = request;
    if (request.remoteAddress !== this.#leaving) return false;
    // There is no third one: the parser takes none while this one waits.
    this.#leaving = undefined;
    return true;
  }

  /** To be called before the answer to `request` goes out, where nothing that follows it may run. */
  forbid(request: Request): void {
    // Later than in the call that has read it, the connection closes at once; and others must not be taken for it.
    if (request !== this.#reading) return;
    this.#leaving = request.remoteAddress;
    setImmediate(() => this.closed());
  }

  /** A connection has closed. One that has to does so before the next one is read from. */
  closed(): void {
    this.#leaving = undefined;
  }
}
