/** Replies that begin in one turn of the event loop: about a millisecond of work. */
const startsPerTurn = 16;

/** Spreads many starts over several turns of the event loop, so that tokens of running replies pass between them. */
export class StartSlices {
  #startedInTurn = 0;
  #waiting: (() => void)[] = [];
  #turn: NodeJS.Immediate | undefined;

  /** Undefined where a reply may begin at once, else a promise for its turn. */
  enter(): Promise<void> | undefined {
    this.#turn ??= setImmediate(() => this.#nextTurn());
    if (this.#startedInTurn < startsPerTurn) {
      this.#startedInTurn++;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #nextTurn(): void {
    const next = this.#waiting.slice(0, startsPerTurn);
    this.#waiting = this.#waiting.slice(next.length);
    this.#startedInTurn = next.length;
    this.#turn = next.length > 0 ? setImmediate(() => this.#nextTurn()) : undefined;
    for (const start of next) start();
  }
}
