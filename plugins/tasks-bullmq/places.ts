import type { Logger } from '#kernel';
import type { RedisLink } from '#sdk/redis';
import { logFailure } from './log-failure.js';
import type { SharedRun } from './shared-run.js';

/** Shortest interval of looks at places in the line. */
const lookMs = 50;
/** Listeners that are told at a time. */
const most = 200;

/** Tells those who wait how many are before them. */
export class Places {
  readonly #link: RedisLink;
  readonly #logger: Logger;
  readonly #listeners = new Set<SharedRun>();
  #timer: NodeJS.Timeout | undefined;
  #isTelling = false;

  constructor(link: RedisLink, logger: Logger) {
    this.#link = link;
    this.#logger = logger;
  }

  /** Tells the places of a run, while it waits. */
  add(run: SharedRun): void {
    if (run.onQueued) this.#listeners.add(run);
  }

  /** Tells places that may have changed, soon. */
  tell(): void {
    if (this.#listeners.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#tell();
    }, lookMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #tell(): Promise<void> {
    if (this.#isTelling || !this.#link.isUp) return;
    this.#isTelling = true;
    try {
      for (const run of this.#listeners) if (!run.onQueued) this.#listeners.delete(run);
      const waiting = [...this.#listeners].filter((run) => run.state === 'queued').slice(0, most);
      await Promise.all(waiting.map((run) => this.#tellOne(run)));
    } catch (error) {
      logFailure(this.#logger, error, 'places in the line cannot be told');
    } finally {
      this.#isTelling = false;
    }
  }

  async #tellOne(run: SharedRun): Promise<void> {
    const ahead = await run.line.ahead(run.id);
    if (ahead === undefined || ahead === run.ahead || !run.isWaiting) return;
    run.ahead = ahead;
    try {
      run.onQueued?.(ahead);
    } catch (err) {
      this.#logger.error({ err, task: run.name }, 'a listener of the line failed');
    }
  }
}
