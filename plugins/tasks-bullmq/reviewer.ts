import { type EventBus, type Logger, type TaskDefinition, WaggleError } from '#kernel';
import type { RedisLink } from '#sdk/redis';
import type { Executor } from './executor.js';
import type { Hints } from './hints.js';
import { logFailure } from './log-failure.js';
import type { RunNews } from './run-news.js';
import type { RunTable } from './run-table.js';
import type { SharedRun } from './shared-run.js';

/** Runs that are looked at at a time. */
const most = 200;

/** Parts of a reviewer. */
export interface ReviewerOptions {
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly link: RedisLink;
  readonly table: RunTable;
  readonly news: RunNews;
  readonly executor: Executor;
  readonly hints: Hints;
  definitionOf(name: string): TaskDefinition | undefined;
}

/** Compares runs with what Redis has of them, and adds again what it has lost. */
export class Reviewer {
  readonly #options: ReviewerOptions;
  readonly #missing = new WeakSet<SharedRun>();
  #isReviewing = false;

  constructor(options: ReviewerOptions) {
    this.#options = options;
  }

  /** Asks Redis about runs of which nothing is heard. */
  async review(): Promise<void> {
    const { link, table, executor, logger } = this.#options;
    if (this.#isReviewing || !link.isUp) return;
    this.#isReviewing = true;
    try {
      const silent = [...table.unended].filter(
        (run) => !executor.held.has(run.id) && (run.entry === undefined || run.isAnnounced),
      );
      for (let at = 0; at < silent.length; at += most)
        await Promise.all(silent.slice(at, at + most).map((run) => this.refresh(run)));
    } catch (error) {
      logFailure(logger, error, 'runs cannot be looked at');
    } finally {
      this.#isReviewing = false;
    }
  }

  /** Looks at what Redis has of a run. @throws ENGINE_UNAVAILABLE */
  async refresh(run: SharedRun): Promise<void> {
    const { table, news } = this.#options;
    const stored = await run.line.read(run.id);
    if (run.ended || !table.unended.has(run)) return;
    if (stored?.outcome) table.ended(run, stored.outcome);
    else if (stored?.isRunning && run.runner === undefined) news.join(run);
    else if (!stored) await this.#onMissing(run);
  }

  /** Adds all runs that were accepted here: Redis has lost its data. */
  async addAgain(): Promise<void> {
    const { table, executor, logger } = this.#options;
    for (const run of table.unended)
      if (run.entry && !executor.held.has(run.id))
        await this.#again(run).catch((err) =>
          logger.warn({ err, task: run.name }, 'a run is not in Redis; it is added later'),
        );
  }

  /** Redis has lost its job. It is looked at twice, as it may be on its way. */
  async #onMissing(run: SharedRun): Promise<void> {
    const { table, executor } = this.#options;
    if (!this.#missing.has(run) || executor.held.has(run.id)) {
      this.#missing.add(run);
      return;
    }
    this.#missing.delete(run);
    if (run.entry) await this.#again(run);
    else table.leave(run);
  }

  async #again(run: SharedRun): Promise<void> {
    const { bus, table, executor, hints, definitionOf } = this.#options;
    if (run.ended) return;
    if (definitionOf(run.name)?.rerun === 'never' && run.attempts > 0) {
      const error = new WaggleError('TASK_CRASHED', { task: run.name, why: 'the engine has lost it' });
      const { attempts, queuedMs, runMs, name, id: taskId } = run;
      const about = { taskId, name, userId: run.data.owner, queuedMs, runMs, attempts };
      bus.emit('task:failed', { ...about, code: error.code, error });
      table.ended(run, { state: 'failed', error, attempts, queuedMs, runMs });
      return;
    }
    await run.line.add(run.data, run.state === 'delayed' ? run.delayMs : 0);
    executor.fetcher.wake(run.line.name);
    hints.add(run.line);
  }
}
