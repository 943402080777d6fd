import { WaggleError } from './errors.js';

type Loop = WaggleError<'KERNEL_EVENT_LOOP'>;

/** Nested emissions. */
const maxDepth = 64;
/** Emissions nested deeper are counted: many listeners make a tree that is endless before it is deep. */
const freeDepth = 8;
const maxDeep = 10_000;
/** Emissions of one event in one turn of the event loop. */
const maxInTurn = 100_000;
/** Below this number of events the turn is not watched. */
const freeInTurn = 1000;

/** Detects an event that leads to itself: within its own emission, or by promises in one turn of the event loop. */
export class EmissionGuard {
  /** The emissions under way, each nested in the one before. */
  readonly #path: string[] = [];
  #deep = 0;
  #loop: Loop | undefined;
  #count = 0;
  readonly #counts = new Map<string, number>();
  /** Events that are stopped for the rest of this turn. */
  readonly #stopped = new Map<string, Loop>();
  #turn: NodeJS.Immediate | undefined;

  /** The reason to stop all emissions under way. */
  get loop(): Loop | undefined {
    return this.#loop;
  }

  /** Begins an emission, which `leave` ends, or returns the reason to refuse it: one object for one loop. */
  enter(event: string): Loop | undefined {
    if (this.#path.length >= freeDepth) this.#deep++;
    if (this.#path.length >= maxDepth || this.#deep > maxDeep) this.#loop ??= this.#stop(event);
    const loop = this.#loop ?? this.#stopped.get(event) ?? this.#flood(event);
    if (!loop) this.#path.push(event);
    return loop;
  }

  leave(): void {
    this.#path.pop();
    if (this.#path.length > 0) return;
    this.#deep = 0;
    this.#loop = undefined;
  }

  #flood(event: string): Loop | undefined {
    const count = (this.#counts.get(event) ?? 0) + 1;
    this.#counts.set(event, count);
    // Watching each turn would cost more than few events.
    if (++this.#count >= freeInTurn) this.#watchTurn();
    return count > maxInTurn ? this.#stop(event) : undefined;
  }

  /** Until the turn is over, because promises would go on with it. */
  #stop(event: string): Loop {
    const at = this.#path.lastIndexOf(event);
    const way = this.#path.length === 0 ? [event] : this.#path.slice(at < 0 ? -freeDepth : at);
    const loop = new WaggleError('KERNEL_EVENT_LOOP', { event, path: [...way, event] });
    this.#stopped.set(event, loop);
    this.#watchTurn();
    return loop;
  }

  #watchTurn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#count = 0;
      this.#counts.clear();
      this.#stopped.clear();
    }).unref();
  }
}
