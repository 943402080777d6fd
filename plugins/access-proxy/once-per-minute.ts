const periodMs = 60_000;
const maxAddresses = 1000;

/** Lets an address through once a minute, so that one that insists does not fill the log. */
export class OncePerMinute {
  readonly #last = new Map<string, number>();

  allows(address: string): boolean {
    const now = performance.now();
    const last = this.#last.get(address);
    if (last !== undefined && now - last < periodMs) return false;
    // Moved to the end: the first one is always the oldest.
    this.#last.delete(address);
    for (const [oldest, at] of this.#last) {
      if (now - at < periodMs) break;
      this.#last.delete(oldest);
    }
    // A flood of addresses stays silent until there is room.
    if (this.#last.size >= maxAddresses) return false;
    this.#last.set(address, now);
    return true;
  }
}
