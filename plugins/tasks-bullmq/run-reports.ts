import type { Cluster, Logger } from '#kernel';
import type { Engine } from '#sdk/tasks';
import type { Config } from './config.js';
import type { ExecutorOwner, Held, HeldEnd } from './executor.js';
import type { SharedKeys } from './keys.js';
import type { QueueLimit } from './queue-limit.js';
import type { RunNews } from './run-news.js';
import type { RunTable } from './run-table.js';

type Updates = Parameters<ExecutorOwner['told']>[1];

/** Parts of the reports. */
export interface RunReportsOptions {
  readonly config: Config;
  readonly cluster: Cluster;
  readonly logger: Logger;
  readonly engine: Engine;
  readonly keys: SharedKeys;
  readonly table: RunTable;
  readonly limit: QueueLimit;
  readonly news: RunNews;
  /** Called when a job of this node is over. */
  changed(): void;
}

/** Passes on what happens to the jobs that run here: to the table, to the nodes that follow them, and to Redis. */
export class RunReports implements ExecutorOwner {
  readonly #options: RunReportsOptions;

  constructor(options: RunReportsOptions) {
    this.#options = options;
  }

  taken({ taken }: Held): void {
    const { table } = this.#options;
    const run = table.find(taken.id);
    if (run?.entry) table.announce(run);
  }

  started(held: Held): void {
    const { cluster, table, news } = this.#options;
    const { id } = held.taken;
    table.started(table.find(id), cluster.nodeId, held.attempt);
    news.tell(held, { id, type: 'started', attempt: held.attempt });
  }

  retrying(held: Held): void {
    const { table, news } = this.#options;
    const { id } = held.taken;
    table.waits(table.find(id), 'delayed');
    news.tell(held, { id, type: 'retrying' });
  }

  told(held: Held, updates: Updates): void {
    const { table, news } = this.#options;
    const { id } = held.taken;
    table.find(id)?.tells(updates);
    const at = held.partials.length - updates.filter(({ type }) => type === 'partial').length;
    news.tell(held, { id, type: 'updates', at, updates });
  }

  async stored({ taken }: Held, { outcome, error }: HeldEnd): Promise<void> {
    const { config, engine, keys, logger } = this.#options;
    const { id: taskId, data } = taken;
    const { name, key } = data;
    const { attempts } = outcome;
    const hasFailed = outcome.state === 'failed';
    let letter = hasFailed
      ? (await engine.deadLetters()).filter((each) => each.taskId === taskId).at(-1)
      : undefined;
    if (error?.code === 'TASK_CRASHED' && taken.stalls > 0)
      letter ??= { taskId, name, attempts, code: error.code, reason: error.message, at: Date.now() };
    try {
      await Promise.all([
        letter && keys.bury(letter, config.maxDeadLetters),
        key !== undefined && keys.release(key, hasFailed, config.keepMs),
      ]);
    } catch (err) {
      logger.warn({ err, task: name }, 'a dead letter or the key of a request may be missing');
    }
  }

  ended(held: Held, { outcome, error }: HeldEnd): void {
    const { table, limit, news, changed } = this.#options;
    const { id, data } = held.taken;
    limit.measured(data.name, outcome.runMs);
    table.ended(table.find(id), outcome, error);
    news.tell(held, { id, type: 'ended' });
    changed();
  }

  lost({ taken }: Held): void {
    const { cluster, table, changed } = this.#options;
    const run = table.find(taken.id);
    if (run?.runner === cluster.nodeId) table.waits(run, 'queued');
    changed();
  }
}
