import type { Logger } from '#kernel';
import type { RedisLink } from '#sdk/redis';
import type { Fetcher } from './fetcher.js';
import type { Line } from './line.js';
import { logFailure } from './log-failure.js';
import type { QueueLimit } from './queue-limit.js';
import type { RunTable } from './run-table.js';

/** Parts of a watch. */
export interface LineWatchOptions {
  readonly logger: Logger;
  readonly link: RedisLink;
  readonly table: RunTable;
  readonly limit: QueueLimit;
  readonly fetcher: Fetcher;
}

/** Looks at the lines: counts what waits, and puts back what lost nodes have left. */
export class LineWatch {
  /** Runs that this node has put back. */
  stalled = 0;
  readonly #options: LineWatchOptions;
  #isLooking = false;

  constructor(options: LineWatchOptions) {
    this.#options = options;
  }

  async look(): Promise<void> {
    const { logger, link, fetcher } = this.#options;
    if (this.#isLooking || !link.isUp) return;
    this.#isLooking = true;
    try {
      await Promise.all(fetcher.lines.map((line) => this.#look(line)));
    } catch (error) {
      logFailure(logger, error, 'the lines cannot be looked at');
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(line: Line): Promise<void> {
    const { logger, table, limit, fetcher } = this.#options;
    const stalled = await line.sweep();
    this.stalled += stalled.length;
    for (const job of stalled)
      logger.warn({ job, line: line.name }, 'a run is back in the line: its server is lost');
    let own = 0;
    const { all, due, isDelayOver } = await line.waiting();
    for (const run of table.unended) if (run.entry && run.line === line && run.isWaiting) own++;
    limit.counted(line, all - own);
    if (due > 0 || isDelayOver) fetcher.wake(line.name, due === 0);
  }
}
