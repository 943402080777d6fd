import type { Logger } from '../../logger.js';
import type { ReplyLog } from './reply-log.js';

/** Wakes the readers of logs at most once a turn of the event loop. */
export class LogWaker {
  readonly #logger: Logger;
  /** Logs with new entries for their readers. */
  #stale: ReplyLog[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  stale(log: ReplyLog): void {
    if (this.#stale.length === 0) setImmediate(() => this.#wake());
    this.#stale.push(log);
  }

  #wake(): void {
    const logs = this.#stale;
    this.#stale = [];
    const now = performance.now();
    for (const log of logs) {
      log.grewAtMs = now;
      try {
        log.wake();
      } catch (err) {
        this.#logger.error({ err }, 'a reader of a reply failed');
      }
    }
  }
}
