/** Nearest-rank percentiles of numbers, which get sorted. */
export function percentiles(numbers, wanted = [50, 99, 99.9]) {
  const sorted = Float64Array.from(numbers).sort();
  return Object.fromEntries(
    wanted.map((percent) => [
      `p${String(percent).replace('.', '')}`,
      sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0,
    ]),
  );
}
