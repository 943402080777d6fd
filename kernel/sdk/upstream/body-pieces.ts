import type { PieceListener, PieceSource, PieceSplitter, Pieces } from './pieces.js';
import type { BodySink, ResponseBody } from './response.js';

/**
 * The pieces of a body, pulled: each call gives all that one read has brought. The body is not closed: its connection serves
 * the next request.
 */
export class BodyPieces<Piece> implements PieceSource<Piece>, BodySink {
  readonly #body: ResponseBody;
  readonly #splitter: PieceSplitter<Piece>;
  #ready: Pieces<Piece>[] = [];
  #waiting: PieceListener<Piece> | undefined;
  #isPaused = false;
  #ended = false;
  #error: Error | undefined;

  constructor(body: ResponseBody, splitter: PieceSplitter<Piece>) {
    this.#body = body;
    this.#splitter = splitter;
    body.read(this);
  }

  pull(listener: PieceListener<Piece>): void {
    if (this.#ready.length === 0 && this.#isPaused) {
      this.#isPaused = false;
      this.#body.resume();
    }
    const ready = this.#ready.shift();
    if (ready) listener.onPieces(ready);
    else if (this.#error) listener.onError(this.#error);
    else if (this.#ended) listener.onEnd();
    else this.#waiting = listener;
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
    else this.#take()?.onEnd();
  }

  onError(error: Error): void {
    if (this.#error || this.#ended) return;
    this.#error = error;
    this.#take()?.onError(error);
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
    const waiting = this.#take();
    if (waiting) return void waiting.onPieces(pieces);
    this.#ready.push(pieces);
    if (this.#ended || this.#isPaused) return;
    // Pulling is the back-pressure.
    this.#isPaused = true;
    this.#body.pause();
  }

  #take(): PieceListener<Piece> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
