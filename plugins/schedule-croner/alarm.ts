import type { Occurrences } from './occurrences.js';

/** The clock may be set meanwhile, and a machine may sleep. */
const longestWaitMs = 30_000;
/** A later run is missed. */
const maxLateMs = 60_000;
/** Counting stops here: a machine may have slept for months. */
const maxCounted = 1000;

/** The runs that have become due. */
export interface Due {
  /** The time for which a run is due now. */
  readonly at: number | undefined;
  /** The number of earlier ones that are too late, and the last of them. */
  readonly missed: number;
  readonly lastMissedAt: number;
}

/** Calls back at each time of a schedule, by the clock on the wall. */
export class Alarm {
  readonly #occurrences: Occurrences;
  readonly #onDue: (due: Due) => void;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt: number;
  #nextAt: number;

  /** `nextAt` goes on with an earlier alarm of the same schedule. */
  constructor(occurrences: Occurrences, onDue: (due: Due) => void, nextAt?: number) {
    this.#occurrences = occurrences;
    this.#onDue = onDue;
    this.#lookedAt = Date.now();
    this.#nextAt = nextAt ?? occurrences.after(this.#lookedAt);
    this.#wait(this.#lookedAt);
  }

  get nextAt(): number {
    return this.#nextAt;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(now: number): void {
    const waitMs = Math.min(longestWaitMs, Math.max(0, this.#nextAt - now));
    this.#timer = setTimeout(() => this.#look(), waitMs);
  }

  #look(): void {
    const now = Date.now();
    // The clock was set back: what lies ahead is due once more.
    if (now < this.#lookedAt - maxLateMs) this.#nextAt = this.#occurrences.after(now);
    this.#lookedAt = now;
    const due = this.#nextAt <= now ? this.#dueAt(now) : undefined;
    this.#wait(now);
    if (due) this.#onDue(due);
  }

  #dueAt(now: number): Due {
    let at: number | undefined = this.#nextAt;
    let missed = 0;
    let lastMissedAt = 0;
    for (let next = this.#occurrences.after(at); next <= now && missed < maxCounted; ) {
      missed++;
      lastMissedAt = at;
      at = next;
      next = this.#occurrences.after(at);
    }
    this.#nextAt = this.#occurrences.after(now);
    if (now - at <= maxLateMs) return { at, missed, lastMissedAt };
    return { at: undefined, missed: missed + 1, lastMissedAt: at };
  }
}
