import type { Cluster, Logger, TaskUpdate, Undo } from '#kernel';
import type { Held } from './executor.js';
import type { RunTable } from './run-table.js';
import type { SharedRun } from './shared-run.js';

/** Topics of messages between nodes. */
export const topics = {
  news: 'tasks:news',
  cancel: 'tasks:cancel',
  join: 'tasks:join',
  waits: 'tasks:waits',
} as const;

/** A message about a run. */
export type News =
  | { readonly id: string; readonly type: 'started'; readonly attempt: number }
  | { readonly id: string; readonly type: 'retrying' | 'ended' }
  | UpdateNews;

interface UpdateNews {
  readonly id: string;
  readonly type: 'updates';
  /** Partial results before these. */
  readonly at: number;
  readonly updates: readonly TaskUpdate[];
}

interface Join {
  readonly id: string;
  /** Partial results that are known already. */
  readonly at: number;
}

/** Parts of the news of runs. */
export interface RunNewsOptions {
  readonly cluster: Cluster;
  readonly table: RunTable;
  readonly logger: Logger;
  /** The job that runs here. */
  heldOf(id: string): Held | undefined;
  /** Called for a run that has ended elsewhere: its end is in Redis. */
  ended(run: SharedRun): void;
}

/** Messages between nodes about runs. */
export class RunNews {
  readonly #options: RunNewsOptions;

  constructor(options: RunNewsOptions) {
    this.#options = options;
  }

  listen(): Undo[] {
    const { cluster } = this.#options;
    return [
      cluster.on(topics.news, (body, from) => this.#hear(body as News, from)),
      cluster.on(topics.join, (body, from) => this.#onJoin(body as Join, from)),
    ];
  }

  /** Tells the nodes that follow a job of this node. */
  tell({ listeners }: Held, news: News): void {
    const { cluster, logger } = this.#options;
    for (const node of listeners) {
      if (node === cluster.nodeId) continue;
      try {
        void cluster.send(node, topics.news, news);
      } catch (err) {
        // Their readers see a gap; the result is in Redis.
        logger.warn({ err, taskId: news.id.slice(0, 6) }, 'an update is too large for other servers');
      }
    }
  }

  /** Asks its runner for all updates that are missing here. */
  join(run: SharedRun): void {
    const { cluster } = this.#options;
    const body: Join = { id: run.id, at: run.heard };
    if (run.runner === undefined) void cluster.broadcast(topics.join, body);
    else void cluster.send(run.runner, topics.join, body);
  }

  #hear(news: News, from: string): void {
    const { table } = this.#options;
    const run = table.find(news.id);
    if (!run || run.ended) return;
    if (news.type === 'started') table.started(run, from, news.attempt);
    else if (news.type === 'retrying') table.waits(run, 'delayed');
    else if (news.type === 'updates') this.#hearUpdates(run, news, from);
    else this.#options.ended(run);
  }

  #hearUpdates(run: SharedRun, { at, updates }: UpdateNews, from: string): void {
    if (run.runner !== from) {
      run.runner = from;
      run.heard = 0;
    }
    if (at > run.heard) {
      this.join(run);
      return;
    }
    let known = run.heard - at;
    const fresh = updates.filter(({ type }) => type === 'progress' || known-- <= 0);
    run.heard += fresh.filter(({ type }) => type === 'partial').length;
    if (fresh.length > 0) run.tells(fresh);
  }

  #onJoin({ id, at }: Join, from: string): void {
    const held = this.#options.heldOf(id);
    if (!held || held.isEnding) return;
    held.listeners.add(from);
    const one = { ...held, listeners: new Set([from]) };
    if (held.attempt > 0) this.tell(one, { id, type: 'started', attempt: held.attempt });
    const updates = held.partials.slice(at);
    if (held.progress) updates.push(held.progress);
    if (updates.length > 0) this.tell(one, { id, type: 'updates', at, updates });
  }
}
