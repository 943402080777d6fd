import type { PriorityQueue } from './priority-queue.js';
import type { Run } from './run.js';

/** Everybody near the front, and now and then the others: a long line must not cost a call each for every step. */
const nearest = 5;
const every = 10;

/** Tells runs that wait how many are before them: once per turn of the event loop, and only those that want to know. */
export class QueuePositionNotifier {
  readonly #queues: () => Iterable<PriorityQueue<Run>>;
  readonly #listening = new Set<Run>();
  readonly #onError: (error: unknown, run: Run) => void;
  #scheduled: NodeJS.Immediate | undefined;

  /** A listener that throws is told of and not called again. */
  constructor(queues: () => Iterable<PriorityQueue<Run>>, onError: (error: unknown, run: Run) => void) {
    this.#queues = queues;
    this.#onError = onError;
  }

  added(run: Run): void {
    if (run.options.onQueued) this.#listening.add(run);
  }

  left(run: Run): void {
    this.#listening.delete(run);
  }

  /** Somebody came or went. */
  changed(): void {
    if (this.#listening.size === 0) return;
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      for (const queue of this.#queues()) this.#announce(queue);
    });
  }

  close(): void {
    this.#listening.clear();
    clearImmediate(this.#scheduled);
  }

  #announce(queue: PriorityQueue<Run>): void {
    let ahead = 0;
    for (const run of queue) {
      const due = run.ahead === -1 || ahead < nearest || ahead % every === 0;
      if (due && run.ahead !== ahead && this.#listening.has(run)) {
        run.ahead = ahead;
        try {
          run.options.onQueued?.(ahead);
        } catch (error) {
          this.#listening.delete(run);
          this.#onError(error, run);
        }
      }
      ahead++;
    }
  }
}
