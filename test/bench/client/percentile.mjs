// 99.9 % of 1000 is a little more than 999.
const roundingError = 1e-9;

/** Nearest-rank percentiles of numbers, which get sorted. */
export function percentiles(numbers, wanted = [50, 99, 99.9]) {
  const sorted = Float64Array.from(numbers).sort();
  return Object.fromEntries(
    wanted.map((percent) => [
      `p${String(percent).replace('.', '')}`,
      sorted[Math.max(0, Math.ceil((percent * sorted.length) / 100 - roundingError) - 1)] ?? 0,
    ]),
  );
}
