/** The longest wait of a timer. Node.js makes 1 ms of anything above. */
export const longestMs = 2 ** 31 - 1;

/** Cuts a duration that no schema has checked to the longest wait of a timer. */
export function timerMs(ms: number): number {
  return ms <= longestMs ? ms : longestMs;
}

/** Issues of durations that come from code and not from a config; `undefined` is valid. */
export function wrongDurations(durations: Readonly<Record<string, unknown>>, least = 0): readonly string[] {
  return Object.entries(durations).flatMap(([key, ms]) =>
    ms === undefined || (Number.isInteger(ms) && (ms as number) >= least && (ms as number) <= longestMs)
      ? []
      : `${key}: expected integer ${least}-${longestMs}, got ${typeof ms === 'number' ? ms : typeof ms}`,
  );
}
