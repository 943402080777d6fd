import type { Request } from '#sdk/http';

/**
 * Detects pipelined requests after one that ends its connection. The native parser continues with bytes already read, even
 * after such a response, and does not say whose bytes it reads; only the order of its calls shows it.
 */
export class GluedRequests {
  /** The request whose bytes were read last. */
  #reading: Request | undefined;
  /** Peer of a response that ends its connection, until the parser has finished the bytes already read. */
  #leaving: string | undefined;

  /** Records that a part of the request's body was read. */
  reads(request: Request): void {
    this.#reading = request;
  }

  /** Records that the request's head was read. True where it must not run. */
  has(request: Request): boolean {
    this.#reading = request;
    if (request.remoteAddress !== this.#leaving) return false;
    // There is no third request: the parser stops while this one waits.
    this.#leaving = undefined;
    return true;
  }

  /** To be called before a response after which nothing may run. */
  forbid(request: Request): void {
    // Outside of the call that has read it, the connection closes at once, and other connections must not be affected.
    if (request !== this.#reading) return;
    this.#leaving = request.remoteAddress;
    setImmediate(() => this.closed());
  }

  /** Records a closed connection. It closes before the parser reads from another one. */
  closed(): void {
    this.#leaving = undefined;
  }
}
