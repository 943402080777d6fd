import type { PieceSource, PieceSplitter, Pieces } from './pieces.js';
import type { BodySink, ResponseBody } from './response.js';

interface Waiting<Piece> {
  resolve(pieces: Pieces<Piece> | undefined): void;
  reject(error: Error): void;
}

/**
 * The pieces of a body, pulled: each call gives all that one read has brought. The body is not closed: its connection serves
 * the next request.
 */
export class BodyPieces<Piece> implements PieceSource<Piece>, BodySink {
  readonly #body: ResponseBody;
  readonly #splitter: PieceSplitter<Piece>;
  #ready: Pieces<Piece>[] = [];
  #waiting: Waiting<Piece> | undefined;
  #isPaused = false;
  #ended = false;
  #error: Error | undefined;

  constructor(body: ResponseBody, splitter: PieceSplitter<Piece>) {
    this.#body = body;
    this.#splitter = splitter;
    body.read(this);
  }

  /** Undefined at the end. @throws what has become of the connection */
  next(): Promise<Pieces<Piece> | undefined> {
    if (this.#ready.length === 0 && this.#isPaused) {
      this.#isPaused = false;
      this.#body.resume();
    }
    const ready = this.#ready.shift();
    if (ready) return Promise.resolve(ready);
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Nobody pulls any more. */
  stop(): void {
    this.#ended = true;
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#ended) return;
    const pieces = this.#split(bytes);
    // A read without a whole piece shows whoever waits that the server is at work.
    if (pieces.values.length > 0 || pieces.error || this.#waiting) this.#give(pieces);
  }

  onEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    const pieces = this.#split();
    if (pieces.values.length > 0 || pieces.error) this.#give(pieces);
    else this.#waiting?.resolve(undefined);
  }

  onError(error: Error): void {
    if (this.#error || this.#ended) return;
    this.#error = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  /** An exception of the splitter would end the process: nothing catches it between here and the socket. */
  #split(bytes?: Uint8Array): Pieces<Piece> {
    try {
      return bytes ? this.#splitter.push(bytes) : this.#splitter.end();
    } catch (error) {
      return { values: [], error: error as Error };
    }
  }

  #give(pieces: Pieces<Piece>): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(pieces);
    else this.#ready.push(pieces);
    if (waiting || this.#ended || this.#isPaused) return;
    // Pulling is the back-pressure.
    this.#isPaused = true;
    this.#body.pause();
  }
}
