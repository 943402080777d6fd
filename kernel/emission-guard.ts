import { WaggleError } from './errors.js';

type Loop = WaggleError<'KERNEL_EVENT_LOOP'>;

/** Emissions within each other. */
const maxDepth = 64;
/** Below here they are counted: many listeners make a tree that is endless before it is deep. */
const freeDepth = 8;
const maxDeep = 10_000;
/** Emissions of one event in one turn of the event loop. */
const maxInTurn = 100_000;
/** So many events need no look at the turn. */
const freeInTurn = 1000;

/** Sees when an event leads to itself: within its own emission, or by promises, which let nothing else happen either. */
export class EmissionGuard {
  /** The events that are being emitted, each within the one before. */
  readonly #path: string[] = [];
  #deep = 0;
  #loop: Loop | undefined;
  #count = 0;
  readonly #counts = new Map<string, number>();
  /** What is not emitted any more in this turn. */
  readonly #stopped = new Map<string, Loop>();
  #turn: NodeJS.Immediate | undefined;

  /** Why all that is being emitted is to stop. */
  get loop(): Loop | undefined {
    return this.#loop;
  }

  /** An emission begins, and ends with `leave`. Where it must not, this gives the reason: one object for one loop. */
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
    // Only where there are many: to look at each turn would cost more than the events.
    if (++this.#count >= freeInTurn) this.#watchTurn();
    return count > maxInTurn ? this.#stop(event) : undefined;
  }

  /** Until the turn is over: what waits for a promise would go on with it. */
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
