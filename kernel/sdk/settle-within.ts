import { timerMs } from '../duration.js';

/**
 * Waits for a promise, but no longer than a number of milliseconds or until a signal aborts. Resolves with whether the
 * promise came first; passes its rejection on. A rejection after the limit is ignored.
 */
export async function settleWithin(promise: Promise<unknown>, limit: number | AbortSignal): Promise<boolean> {
  let leave = () => {};
  const late = new Promise<boolean>((resolve) => {
    const give = () => resolve(false);
    if (typeof limit === 'number') {
      const timer = setTimeout(give, timerMs(limit));
      leave = () => clearTimeout(timer);
    } else {
      limit.addEventListener('abort', give);
      leave = () => limit.removeEventListener('abort', give);
      if (limit.aborted) give();
    }
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    leave();
  }
}
