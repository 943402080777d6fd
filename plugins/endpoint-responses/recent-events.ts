/** More than the tokens that arrive within one turn of the event loop. */
const slots = 16;

/** The latest events of a response with several readers, so that each event is written once for all of them. */
export class RecentEvents {
  readonly #numbers = new Int32Array(slots).fill(-1);
  readonly #events: (string | undefined)[] = Array.from({ length: slots });

  get(number: number): string | undefined {
    const slot = number % slots;
    return this.#numbers[slot] === number ? this.#events[slot] : undefined;
  }

  keep(number: number, event: string): void {
    const slot = number % slots;
    this.#numbers[slot] = number;
    this.#events[slot] = event;
  }
}
