import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';

const watchedEvents = ['SIGTERM', 'SIGINT', 'uncaughtException', 'unhandledRejection', 'exit'] as const;
const quickTurns = 50;
const recheckMs = 10;

/** Waits until everything opened since the snapshot is gone. */
export interface LeakCheck {
  /** Resolves when nothing is left over; throws a list by type after the bound. */
  settled(boundMs?: number): Promise<void>;
}

function countAll(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  for (const event of watchedEvents) counts.set(`${event} listener`, process.listenerCount(event));
  return counts;
}

/** Takes a snapshot of handles, listeners and worker threads; it counts by type, so one that ends can hide one that leaks. */
export function leakCheck(): LeakCheck {
  const before = countAll();
  const workers = new Set<Worker>();
  const onWorker = (worker: Worker): void => {
    workers.add(worker);
    worker.once('exit', () => workers.delete(worker));
  };
  process.on('worker', onWorker);

  const leftOver = (): string[] => {
    const now = countAll();
    now.set('worker thread', workers.size);
    return [...now].flatMap(([type, count]) => {
      const more = count - (before.get(type) ?? 0);
      return more > 0 ? [`${type} ${more}`] : [];
    });
  };

  return {
    async settled(boundMs = 20_000) {
      const endMs = performance.now() + boundMs;
      try {
        let left = leftOver();
        for (let turn = 0; left.length > 0; turn += 1) {
          if (performance.now() >= endMs) throw new Error(`left over: ${left.sort().join(', ')}`);
          await (turn < quickTurns ? nextTurn() : sleep(recheckMs));
          left = leftOver();
        }
      } finally {
        process.off('worker', onWorker);
      }
    },
  };
}
