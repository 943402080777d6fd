/** Median and quartiles, interpolated between neighbours. */
export function quartiles(numbers) {
  const sorted = numbers.filter((each) => Number.isFinite(each)).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const at = (part) => {
    const place = (sorted.length - 1) * part;
    const below = Math.floor(place);
    const above = sorted[Math.min(below + 1, sorted.length - 1)];
    return sorted[below] + (above - sorted[below]) * (place - below);
  };
  return { q1: at(0.25), median: at(0.5), q3: at(0.75), count: sorted.length };
}
