import type { PriorityQueue } from './priority-queue.js';
import type { Turn } from './turn.js';

/** Positions near the front are reported at each step, others at every tenth: a long line must stay cheap. */
const nearest = 5;
const every = 10;

/** Reports to waiting runs how many are ahead: at most once a turn of the event loop, only to those with a listener. */
export class QueuePositionNotifier {
  readonly #queues: () => Iterable<PriorityQueue<Turn>>;
  readonly #listening = new Set<Turn>();
  readonly #onError: (error: unknown, run: Turn) => void;
  #scheduled: NodeJS.Immediate | undefined;

  /** A listener that throws is reported and not called again. */
  constructor(queues: () => Iterable<PriorityQueue<Turn>>, onError: (error: unknown, run: Turn) => void) {
    this.#queues = queues;
    this.#onError = onError;
  }

  added(run: Turn): void {
    if (run.onQueued) this.#listening.add(run);
  }

  left(run: Turn): void {
    this.#listening.delete(run);
  }

  /** Schedules a report. */
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

  #announce(queue: PriorityQueue<Turn>): void {
    let ahead = 0;
    for (const run of queue) {
      const due = run.ahead === -1 || ahead < nearest || ahead % every === 0;
      if (due && run.ahead !== ahead && this.#listening.has(run)) {
        run.ahead = ahead;
        try {
          run.onQueued?.(ahead);
        } catch (error) {
          this.#listening.delete(run);
          this.#onError(error, run);
        }
      }
      ahead++;
    }
  }
}
