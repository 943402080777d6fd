import type { PieceSource, Pieces } from '#kernel';

/** An answer that was not streamed: one piece. */
export class WholeAnswer implements PieceSource<string> {
  #left: Pieces<string> | undefined;

  constructor(text: string) {
    this.#left = { values: [text] };
  }

  next(): Promise<Pieces<string> | undefined> {
    const left = this.#left;
    this.stop();
    return Promise.resolve(left);
  }

  stop(): void {
    this.#left = undefined;
  }
}
