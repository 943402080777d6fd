import type { Cluster, EventBus } from '#kernel';
import { settleWithin } from '#sdk';
import { type RedisLink, unavailable } from '#sdk/redis';
import type { Config } from './config.js';
import type { Executor } from './executor.js';
import type { SharedKeys } from './keys.js';
import type { Outcome } from './outcome.js';
import type { Reviewer } from './reviewer.js';
import { type News, topics } from './run-news.js';
import type { RunTable } from './run-table.js';
import type { SharedRun } from './shared-run.js';
import { storeMs } from './times.js';

const againMs = { first: 5, later: 250 } as const;

/** Parts of a canceller. */
export interface CancellerOptions {
  readonly config: Config;
  readonly cluster: Cluster;
  readonly bus: EventBus;
  readonly link: RedisLink;
  readonly keys: SharedKeys;
  readonly table: RunTable;
  readonly executor: Executor;
  readonly reviewer: Reviewer;
}

/** Cancels runs, wherever they wait or run. */
export class Canceller {
  readonly #options: CancellerOptions;

  constructor(options: CancellerOptions) {
    this.#options = options;
  }

  /** Resolves at the end of the run: true when it was cancelled. @throws ENGINE_UNAVAILABLE */
  async cancel(run: SharedRun): Promise<boolean> {
    const { link, table, executor } = this.#options;
    for (let tries = 0; !run.ended; tries++) {
      const held = executor.held.get(run.id);
      if (held?.run && !held.isEnding) await held.run.cancel();
      if (held) await settleWithin(run.over, storeMs);
      else await this.#cancelElsewhere(run);
      if (run.ended || !table.unended.has(run)) break;
      // It has stopped, or will when its time is over; but how it has ended is known only with Redis.
      if (!link.isUp) throw unavailable('it cannot store the end of a task now');
      await settleWithin(run.over, tries === 0 ? againMs.first : againMs.later);
    }
    return run.state === 'cancelled';
  }

  async #cancelElsewhere(run: SharedRun): Promise<void> {
    const { config, cluster, bus, keys, table, reviewer } = this.#options;
    const { id, line, attempts, queuedMs, runMs } = run;
    const outcome: Outcome = { state: 'cancelled', attempts, queuedMs, runMs };
    const found = await line.cancel(id, outcome);
    if (found === 'cancelled') {
      const { name, data } = run;
      if (data.key !== undefined) await keys.release(data.key, false, config.keepMs).catch(() => {}); // it expires later
      bus.emit('task:cancelled', { taskId: id, name, userId: data.owner, attempts, queuedMs, runMs });
      table.ended(run, outcome);
      if (data.by !== cluster.nodeId)
        void cluster.send(data.by, topics.news, { id, type: 'ended' } satisfies News);
    } else if (found === 'running') void cluster.broadcast(topics.cancel, { id });
    else await reviewer.refresh(run);
  }
}
