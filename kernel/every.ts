import type { Undo } from './scope.js';

/**
 * Runs a step again and again. A step that throws ends neither the timer nor the process: `failed` hears of the first
 * failure of a row. Undone, it runs no more.
 */
export function every(intervalMs: number, step: () => void, failed: (error: unknown) => void): Undo {
  let failing = false;
  const timer = setInterval(() => {
    try {
      step();
      failing = false;
    } catch (error) {
      if (!failing) failed(error);
      failing = true;
    }
  }, intervalMs);
  return () => clearInterval(timer);
}
