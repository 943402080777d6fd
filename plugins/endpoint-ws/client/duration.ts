/** The longest delay of a timer; browsers and Node.js treat anything above as 0. */
export const longestMs = 2 ** 31 - 1;

/** @throws RangeError for a duration that timers do not support; `undefined` is valid */
export function expectDurations(durations: Readonly<Record<string, number | undefined>>): void {
  for (const [key, ms] of Object.entries(durations))
    if (ms !== undefined && !(ms >= 0 && ms <= longestMs))
      throw new RangeError(`${key}: expected a number from 0 to ${longestMs}, got ${ms}`);
}
