import { type TaskDefinition, WaggleError } from '#kernel';
import type { Config } from './config.js';
import type { Ledger } from './ledger.js';
import type { Line } from './line.js';

const retryAfterMs = { least: 100, most: 30_000, unknown: 1000 } as const;

/** The limits of runs that wait, on all nodes together. */
export class QueueLimit {
  readonly #config: Config;
  readonly #ledger: Ledger;
  /** Jobs of others that wait, by line, as they were counted last. */
  readonly #others = new Map<string, number>();
  readonly #averageMs = new Map<string, number>();

  constructor(config: Config, ledger: Ledger) {
    this.#config = config;
    this.#ledger = ledger;
  }

  /** Tells how many jobs of other nodes wait in a line. */
  counted(line: Line, others: number): void {
    this.#others.set(line.name, Math.max(0, others));
  }

  /** Tells how long a run has taken. */
  measured(name: string, runMs: number): void {
    const average = this.#averageMs.get(name) ?? runMs;
    this.#averageMs.set(name, average * 0.9 + runMs * 0.1);
  }

  /** `room`: runs that would start at once. @throws QUEUE_FULL */
  check({ name, lane, maxQueued }: TaskDefinition, line: Line, room: number): void {
    const { queueLimit } = this.#config;
    const limit = maxQueued ?? queueLimit;
    const others = [...this.#others.values()].reduce((sum, count) => sum + count, 0);
    const waiting = this.#ledger.total.waiting - room;
    const theirs = (this.#ledger.of(name)?.waiting ?? 0) - room;
    const othersOfTask = line.name === lane ? 0 : (this.#others.get(line.name) ?? 0);
    const isFull = waiting >= 0 && waiting + others >= queueLimit;
    const isTaskFull = theirs >= 0 && theirs + othersOfTask >= limit;
    if (!isFull && !isTaskFull) return;
    const running = this.#ledger.of(name)?.running ?? 0;
    const estimateMs = (this.#averageMs.get(name) ?? 0) / Math.max(1, running) || retryAfterMs.unknown;
    throw new WaggleError('QUEUE_FULL', {
      limit: Math.min(queueLimit, limit),
      what: 'tasks waiting',
      retryAfterMs: Math.round(Math.min(retryAfterMs.most, Math.max(retryAfterMs.least, estimateMs))),
    });
  }
}
