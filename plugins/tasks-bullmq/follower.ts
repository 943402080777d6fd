import type { Config } from './config.js';
import type { Found } from './keys.js';
import type { Stored } from './line.js';
import type { Lines } from './lines.js';
import type { RunNews } from './run-news.js';
import type { RunTable } from './run-table.js';
import { SharedRun } from './shared-run.js';

/** Runs of other nodes that this one follows. */
const maxFollowed = 1000;

/** Parts of a follower. */
export interface FollowerOptions {
  readonly config: Config;
  readonly lines: Lines;
  readonly table: RunTable;
  readonly news: RunNews;
  /** Resolves once the engine is connected. */
  started(): Promise<void>;
}

/** Finds runs that other nodes have accepted, and follows them. */
export class Follower {
  readonly #options: FollowerOptions;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** @throws ENGINE_UNAVAILABLE */
  async find(id: string): Promise<Found<SharedRun>> {
    const { config, lines, table, started } = this.#options;
    const known = table.find(id);
    if (known) return known;
    const line = lines.ofRun(id);
    if (!line) return undefined;
    await started();
    const stored = await line.read(id);
    const again = table.find(id);
    if (again || !stored) return again;
    const { endedAt, outcome } = stored;
    if (endedAt !== undefined && Date.now() - endedAt > config.keepMs) return 'expired';
    const run = table.create({ id, line, data: stored.data, delayMs: stored.delayMs });
    if (outcome) run.ends(outcome);
    else this.#follow(run, stored);
    return run;
  }

  /** Finds the run that has a key. The same request after a failure is another try. */
  async findKeyed(id: string): Promise<Found<SharedRun>> {
    const found = await this.find(id);
    return found instanceof SharedRun && found.state === 'failed' ? 'expired' : found;
  }

  #follow(run: SharedRun, { isRunning }: Stored): void {
    const { table, news } = this.#options;
    const followed = [...table.unended].filter((each) => !each.entry);
    const [oldest] = followed;
    if (oldest && followed.length >= maxFollowed) table.leave(oldest);
    table.reserve(run);
    table.enter(run);
    if (isRunning) {
      run.starts('', 1);
      run.runner = undefined;
    }
    news.join(run);
  }
}
