/** Bounds of a judgement. */
export interface CensusTimes {
  /** The time between the two looks after which a node is lost. */
  readonly secondLookMs: number;
  /** The time after a disturbance of this node in which no other one is lost. */
  readonly graceMs: number;
}

/** Ids of nodes that have left and whose lease a late look may still show. */
const maxLeft = 1000;

/** Judges from looks at the leases which nodes live. Knows neither clock nor engine. */
export class Census<Lease> {
  readonly #times: CensusTimes;
  readonly #alive = new Map<string, Lease>();
  /** Nodes without a lease, with the time of the first look that showed it. */
  readonly #missing = new Map<string, number>();
  readonly #lost = new Set<string>();
  readonly #left = new Set<string>();
  #quietUntilMs: number;

  constructor(times: CensusTimes, nowMs: number) {
    this.#times = times;
    this.#quietUntilMs = nowMs + times.graceMs;
  }

  get alive(): ReadonlyMap<string, Lease> {
    return this.#alive;
  }

  /** Could not see, or not be seen: others may seem lost that are not. */
  disturbed(nowMs: number): void {
    this.#quietUntilMs = nowMs + this.#times.graceMs;
  }

  /** One look: all nodes that are listed, with their leases. Returns the nodes that are lost, each once. */
  look(nowMs: number, listed: ReadonlyMap<string, Lease | undefined>): readonly string[] {
    for (const [id, lease] of listed) if (lease !== undefined && !this.#left.has(id)) this.#seen(id, lease);
    const without = (id: string) => listed.get(id) === undefined;
    const known = [...this.#alive.keys(), ...this.#missing.keys(), ...listed.keys()];
    return [...new Set(known)].filter((id) => without(id) && this.#isLost(nowMs, id));
  }

  /** A node has said that it ends. False if that is known already. */
  leave(id: string): boolean {
    if (this.#left.has(id)) return false;
    this.#left.add(id);
    for (const oldest of this.#left) {
      if (this.#left.size <= maxLeft) break;
      this.#left.delete(oldest);
    }
    this.#alive.delete(id);
    this.#missing.delete(id);
    return !this.#lost.delete(id);
  }

  /** All that a lost node has left is taken care of. */
  settled(id: string): void {
    this.#lost.delete(id);
    this.#missing.delete(id);
  }

  /** The same could not be done: it will be lost once more. */
  again(nowMs: number, id: string): void {
    if (this.#lost.delete(id)) this.#missing.set(id, nowMs);
  }

  #seen(id: string, lease: Lease): void {
    this.#alive.set(id, lease);
    this.#missing.delete(id);
    this.#lost.delete(id);
  }

  #isLost(nowMs: number, id: string): boolean {
    if (this.#left.has(id) || this.#lost.has(id)) return false;
    const since = this.#missing.get(id);
    if (since === undefined) this.#missing.set(id, nowMs);
    if (since === undefined || nowMs - since < this.#times.secondLookMs) return false;
    if (nowMs < this.#quietUntilMs) return false;
    this.#alive.delete(id);
    this.#missing.delete(id);
    this.#lost.add(id);
    return true;
  }
}
