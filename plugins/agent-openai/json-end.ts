/** Finds the end of a JSON object that arrives in pieces, reading each character once. */
export class JsonEnd {
  #depth = 0;
  #state: 'before' | 'inside' | 'text' | 'escape' | 'whole' | 'beyond' = 'before';

  /** Whether the object is complete and nothing follows it. */
  get isWhole(): boolean {
    return this.#state === 'whole';
  }

  push(piece: string): void {
    for (let at = 0; at < piece.length; at++) this.#readCode(piece.charCodeAt(at));
  }

  #readCode(code: number): void {
    if (this.#state === 'escape') this.#state = 'text';
    else if (this.#state === 'text') {
      if (code === 0x5c) this.#state = 'escape';
      else if (code === 0x22) this.#state = 'inside';
    } else if (this.#state === 'inside') this.#readStructure(code);
    else if (code > 0x20) {
      if (this.#state === 'before' && code === 0x7b) {
        this.#state = 'inside';
        this.#depth = 1;
      } else this.#state = 'beyond';
    }
  }

  #readStructure(code: number): void {
    if (code === 0x22) this.#state = 'text';
    else if (code === 0x7b || code === 0x5b) this.#depth++;
    else if ((code === 0x7d || code === 0x5d) && --this.#depth === 0) this.#state = 'whole';
  }
}
