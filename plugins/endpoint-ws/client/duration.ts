/** The longest wait of a timer. Browsers and Node.js make no wait at all of anything above. */
export const longestMs = 2 ** 31 - 1;

/** @throws RangeError for a duration that no timer can wait; `undefined` is right */
export function expectDurations(durations: Readonly<Record<string, number | undefined>>): void {
  for (const [key, ms] of Object.entries(durations))
    if (ms !== undefined && !(ms >= 0 && ms <= longestMs))
      throw new RangeError(`${key}: expected a number from 0 to ${longestMs}, got ${ms}`);
}
