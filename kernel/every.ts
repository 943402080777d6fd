import type { Undo } from './contracts/effect.js';

/** Runs a step at an interval, also after it has thrown: `failed` gets the first failure of a row. */
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
