/** The longest wait of a timer. Node.js makes 1 ms of anything above. */
export const longestMs = 2 ** 31 - 1;

/** As long as a timer can wait: for sums of durations, and for those that no schema has seen. */
export function timerMs(ms: number): number {
  return ms <= longestMs ? ms : longestMs;
}

/** What is wrong with durations that come from code and not from a config; `undefined` is right. */
export function wrongDurations(durations: Readonly<Record<string, unknown>>, least = 0): readonly string[] {
  return Object.entries(durations).flatMap(([key, ms]) =>
    ms === undefined || (Number.isInteger(ms) && (ms as number) >= least && (ms as number) <= longestMs)
      ? []
      : `${key}: expected integer ${least}-${longestMs}, got ${typeof ms === 'number' ? ms : typeof ms}`,
  );
}
