interface Gate {
  running: number;
  readonly waiting: (() => void)[];
}

/** Limits how many requests run and wait, per key. */
export class Gates {
  readonly #gates = new Map<string, Gate>();

  /** Gives the function that frees the place; rejects when the caller leaves the queue. */
  async enter(
    key: string,
    places: number,
    waiting: number,
    gone: AbortSignal,
  ): Promise<'full' | (() => void)> {
    const gate = this.#gates.get(key) ?? { running: 0, waiting: [] };
    this.#gates.set(key, gate);
    if (gate.running < places) gate.running += 1;
    else if (gate.waiting.length >= waiting) return 'full';
    else await this.#wait(gate, gone);
    return () => {
      // The place passes on to the next in line, if there is one.
      const next = gate.waiting.shift();
      if (next === undefined) gate.running -= 1;
      else next();
    };
  }

  #wait(gate: Gate, gone: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        gate.waiting.splice(gate.waiting.indexOf(proceed), 1);
        reject(gone.reason);
      };
      const proceed = (): void => {
        gone.removeEventListener('abort', leave);
        resolve();
      };
      gate.waiting.push(proceed);
      gone.addEventListener('abort', leave, { once: true });
    });
  }
}
