import type { StreamStats, TaskStats } from '#kernel';

/** Figures of a task engine that has never done anything, but for what is given. */
export function figures(given: Partial<TaskStats> = {}): TaskStats {
  return {
    submitted: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    rejected: 0,
    waiting: 0,
    running: 0,
    queued: { low: 0, normal: 0, high: 0, urgent: 0 },
    delayed: 0,
    workers: { alive: 0, busy: 0, lost: 0 },
    ...given,
  };
}

/** Figures of replies that have never been, but for what is given. */
export function streamFigures(given: Partial<StreamStats> = {}): StreamStats {
  return { running: 0, waiting: 0, kept: 0, readers: 0, chars: 0, tokens: 0, ...given };
}
