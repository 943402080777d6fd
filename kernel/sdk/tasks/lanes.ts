import type { TaskStats } from '../../contracts/task.js';
import type { Logger } from '../../logger.js';
import type { TasksConfig } from './config.js';
import type { LaneName } from './engine.js';
import type { Lane } from './lane.js';
import { MainLane } from './main-lane.js';
import { WorkerLane } from './worker-lane.js';

interface LanesEvents {
  free(lane: LaneName): void;
  lost(reason: string): void;
}

/** The threads of the worker lane. */
interface Threads {
  readonly stats: TaskStats['workers'];
  /** Starts them. */
  open(): void;
}

const noThreads: TaskStats['workers'] = { alive: 0, busy: 0, lost: 0 };

/** Both lanes. Without workers, the worker lane is on the main thread, too, one run at a time. */
export function createLanes(
  config: TasksConfig,
  logger: Logger,
  { free, lost }: LanesEvents,
): Readonly<Record<LaneName, Lane>> & Threads {
  const onMain = (lane: LaneName, concurrency: () => number) =>
    new MainLane(config, concurrency, logger, () => free(lane));
  const main = onMain('main', () => config.mainConcurrency);
  if (config.workers === 0)
    return { main, worker: onMain('worker', () => 1), stats: noThreads, open: () => {} };
  const worker = new WorkerLane(config, logger, { free: () => free('worker'), lost });
  return {
    main,
    worker,
    get stats() {
      return worker.stats;
    },
    open: () => worker.open(),
  };
}
