import type { Readable } from 'node:stream';
import type { PieceSource, PieceSplitter, Pieces } from './pieces.js';

interface Waiting<Piece> {
  resolve(pieces: Pieces<Piece> | undefined): void;
  reject(error: Error): void;
}

/**
 * The pieces of a body, pulled: each call gives all that one read has brought. Over events, because the iterator of Node's
 * streams costs several promises and a turn for each read. The body is not destroyed: its connection serves the next request.
 */
export class BodyPieces<Piece> implements PieceSource<Piece> {
  readonly #body: Readable;
  readonly #splitter: PieceSplitter<Piece>;
  #ready: Pieces<Piece>[] = [];
  #waiting: Waiting<Piece> | undefined;
  #ended = false;
  #error: Error | undefined;

  constructor(body: Readable, splitter: PieceSplitter<Piece>) {
    this.#body = body;
    this.#splitter = splitter;
    body
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onError)
      .on('close', this.#onClose);
    // An empty one may be over before anyone listens.
    if (body.readableEnded) this.#onEnd();
  }

  /** Undefined at the end. @throws what has become of the connection */
  next(): Promise<Pieces<Piece> | undefined> {
    // What has come meanwhile comes as one.
    if (this.#ready.length === 0 && this.#body.isPaused()) this.#body.read();
    const ready = this.#ready.shift();
    if (ready) return Promise.resolve(ready);
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(undefined);
    if (this.#body.isPaused()) this.#body.resume();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Nobody pulls any more. */
  stop(): void {
    this.#body.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    this.#ended = true;
  }

  readonly #onData = (chunk: Uint8Array): void => {
    const pieces = this.#splitter.push(chunk);
    // A read without a whole piece shows whoever waits that the server is at work.
    if (pieces.values.length > 0 || pieces.error || this.#waiting) this.#give(pieces);
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#give(this.#splitter.end());
  };

  readonly #onError = (error: Error): void => {
    this.#fail(error);
  };

  readonly #onClose = (): void => {
    if (!this.#ended) this.#fail(new Error('the connection was closed before the end'));
  };

  #give(pieces: Pieces<Piece>): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(pieces);
    else this.#ready.push(pieces);
    // Pulling is the back-pressure.
    if (!waiting && !this.#ended) this.#body.pause();
  }

  #fail(error: Error): void {
    if (this.#error || this.#ended) return;
    this.#error = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
